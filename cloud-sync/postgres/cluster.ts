/** The data folder of a PostgreSQL of our own: how it is made, and which processes run on it. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { replaceFile, syncFolder } from "../host/atomic-file.ts";
import { heirOf } from "../host/heir.ts";
import { isAlive } from "../host/process-alive.ts";
import type { Place } from "./place.ts";
import { EMBEDDED_MAJOR } from "./programs.ts";
import { userNameOf } from "./system-user.ts";

export const EMBEDDED_USER = "porchlight";
const INITDB = [
  "-U",
  EMBEDDED_USER,
  "-E",
  "UTF8",
  "--locale=C",
  "--locale-provider=builtin",
].concat(["--builtin-locale=C.UTF-8", "--auth-local=peer", "--auth-host=reject"]);
const NEW = "data.new-";

/** Makes `<folder>/data` if it is not there: whole or not at all. Two may try at the same time. */
export async function ensureCluster(initdb: string, place: Place): Promise<string> {
  const { folder } = place;
  const data = join(folder, "data");
  if (!existsSync(join(data, "PG_VERSION"))) {
    removeAbandoned(folder);
    const partial = join(folder, `${NEW}${process.pid}`);
    const output = await place.run(initdb, ["-D", place.seen(`${NEW}${process.pid}`), ...INITDB]);
    if (output !== null) {
      rmSync(partial, { recursive: true, force: true });
      throw new PorchlightError(
        "postgres.embedded.failed",
        `initdb failed: ${output.trim().split("\n").at(-1)}`,
        {
          hint: `check that ${folder} has 100 MB free and an owner with an entry in /etc/passwd: df -h ${folder}; ls -ld ${folder}`,
        },
      );
    }
    publish(partial, data, folder);
  }
  const version = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  if (version === EMBEDDED_MAJOR) return realpathSync(data);
  throw new PorchlightError(
    "postgres.embedded.version",
    `${data} was made by PostgreSQL ${version}, and this program has ${EMBEDDED_MAJOR}`,
    { hint: "move it with pg_upgrade, or install the porchlight that made it" },
  );
}

/** Nobody comes in over the network, and over the socket those alone that the kernel says they are. */
const ACCESS = `local all ${EMBEDDED_USER} peer map=${EMBEDDED_USER}\n`;

/**
 * Lets in the server's own user and root, whose commands run beside a centre: written before each
 * launch, since a folder may have been given to another user, or come from an earlier version.
 */
export function writeAccess(data: string): void {
  const users = [statSync(data).uid, 0].map(userNameOf).filter((name) => name !== null);
  const lines = [...new Set(users)].map((name) => `${EMBEDDED_USER} "${name}" ${EMBEDDED_USER}\n`);
  const attributes = { mode: 0o600, ...heirOf(data) };
  replaceFile(join(data, "pg_ident.conf"), lines.join(""), attributes);
  replaceFile(join(data, "pg_hba.conf"), ACCESS, attributes);
}

function publish(partial: string, data: string, folder: string): void {
  try {
    renameSync(partial, data);
  } catch (error) {
    // Another process was faster: its cluster is as good, and may already be in use.
    rmSync(partial, { recursive: true, force: true });
    const code = systemCodeOf(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
  syncFolder(folder);
}

/** What a process that was killed in the middle of making a database has left. */
function removeAbandoned(folder: string): void {
  for (const file of readdirSync(folder).filter((name) => name.startsWith(NEW))) {
    if (!isAlive(Number(file.slice(NEW.length)))) {
      rmSync(join(folder, file), { recursive: true, force: true });
    }
  }
}

/**
 * Processes of a server on this data folder, its backends included: they all work inside it. Where
 * there is no /proc, the one that postmaster.pid names, which may by now be another program.
 */
export function serversOn(data: string): readonly number[] {
  if (process.platform !== "linux") {
    const pid = postmasterOf(data);
    return pid !== null && isAlive(pid) ? [pid] : [];
  }
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const inside = readlinkSync(`/proc/${pid}/cwd`) === data;
        return inside && readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "postgres";
      } catch {
        return false; // it has ended meanwhile, or is another user's
      }
    })
    .map(Number);
}

/** The process that postmaster.pid names, dead or alive. */
export function postmasterOf(data: string): number | null {
  try {
    const [first = ""] = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    return /^\d+$/.test(first) ? Number(first) : null;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/**
 * Removes a postmaster.pid whose server is gone. PostgreSQL does that itself, unless the number now
 * belongs to another process of the same user: after a container's restart it often does.
 */
export function removeStalePid(data: string): void {
  if (process.platform === "linux" && serversOn(data).length === 0) {
    rmSync(join(data, "postmaster.pid"), { force: true });
  }
}
