/**
 * The programs of PostgreSQL where the user of the server can run them. A clone may lie where only
 * root may go (/root, a umask of 077); PostgreSQL looks for its files beside its own real path, so
 * they are copied, for one group alone, to a place that has nothing else.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Account } from "./account.ts";
import { type Programs, VERSION } from "./programs.ts";

const PLACE = "/var/lib/porchlight-postgres";
/** Needed to build against it, never to run it. */
const NOT_NEEDED = /\.a$|^pkgconfig$/;
const READ = 4;
const EXECUTE = 1;

/** As given where the account can use them, else a copy, made at the first time. */
export function reachablePrograms(
  programs: Programs,
  account: Account,
  logger: Logger,
  place = PLACE,
): Programs {
  if (canRun(programs, account)) return programs;
  const copy = join(place, `${VERSION}-${account.gid}`);
  const moved = (program: string): string => join(copy, "bin", basename(program));
  if (!existsSync(copy)) {
    try {
      publish(dirname(dirname(programs.postgres)), copy, account);
    } catch (cause) {
      throw new PorchlightError(
        "postgres.embedded.unreachable",
        `the user of the database may not enter ${dirname(programs.postgres)}, and nothing can be copied to ${place}: ${messageOf(cause)}`,
        {
          hint: "put the program where every user may read it, or name a server: database.url",
          cause,
        },
      );
    }
    logger.info("the programs of PostgreSQL were copied to where its user can run them", {
      folder: copy,
    });
  }
  return { initdb: moved(programs.initdb), postgres: moved(programs.postgres) };
}

/** By the modes of all folders on the way, and of a file of each kind. */
function canRun({ initdb, postgres }: Programs, account: Account): boolean {
  const native = dirname(dirname(postgres));
  const folders = ["/", join(native, "lib"), join(native, "share")];
  for (let folder = native; folder !== dirname(folder); folder = dirname(folder)) {
    folders.push(folder);
  }
  const data = readdirSync(join(native, "lib"), { withFileTypes: true }).find((e) => e.isFile());
  return (
    [...folders, initdb, postgres].every((path) => may(path, EXECUTE, account)) &&
    (data === undefined || may(join(native, "lib", data.name), READ, account))
  );
}

function may(path: string, bit: number, account: Account): boolean {
  const { uid, gid, mode } = statSync(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & bit) !== 0;
}

/** Whole or not at all; two may try at the same time. */
function publish(native: string, copy: string, { gid }: Account): void {
  mkdirSync(dirname(copy), { recursive: true });
  chmodSync(dirname(copy), 0o711);
  const partial = `${copy}.new-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  try {
    copyTree(native, partial, gid);
    renameSync(partial, copy);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
}

/** For root to write and for the group to read: what is in it runs as the database's user. */
function copyTree(from: string, to: string, gid: number): void {
  mkdirSync(to, { mode: 0o700 });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (NOT_NEEDED.test(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (statSync(source).isDirectory()) {
      copyTree(source, target, gid);
      continue;
    }
    copyFileSync(source, target);
    chownSync(target, 0, gid);
    chmodSync(target, basename(from) === "bin" ? 0o750 : 0o640);
  }
  chownSync(to, 0, gid);
  chmodSync(to, 0o750);
}
