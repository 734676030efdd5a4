/** As whom a PostgreSQL of our own runs: it refuses to be root, and we make no users. */
import { chownSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** For a folder that root owns: whichever of these the machine has. */
const UNPRIVILEGED = ["porchlight-cloud", "nobody"];

/**
 * Makes the server's folder (mode 0700) and tells whose server it will be: null for our own user.
 * As root, it is the owner of the folder or of the one around it, else an unprivileged user.
 */
export function prepareFolder(folder: string): Account | null {
  // The folders above it are for others too: the mode is for the last one alone.
  const made = mkdirSync(dirname(folder), { recursive: true });
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
  if (process.geteuid?.() !== 0) return null;
  const owner = statSync(folder);
  if (owner.uid !== 0) return owner;
  const around = statSync(dirname(made ?? folder));
  const account = around.uid === 0 ? unprivileged() : around;
  chownSync(folder, account.uid, account.gid);
  return account;
}

function unprivileged(): Account {
  const users = readFileSync("/etc/passwd", "utf8");
  for (const name of UNPRIVILEGED) {
    const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, "m").exec(users) ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new PorchlightError("postgres.embedded.account", "PostgreSQL does not run as root", {
    hint: "start porchlight-cloud as another user, or let another user own its --data folder",
  });
}

/** Throws `postgres.embedded.unreachable` when the account cannot get to `path`. */
export function ensureReachable(path: string, account: Account | null): void {
  if (account === null) return;
  for (let inner = path, folder = dirname(path); folder !== inner; ) {
    const { uid, gid, mode } = statSync(folder);
    const others = gid === account.gid ? 0o010 : 0o001;
    if ((mode & (uid === account.uid ? 0o100 : others)) === 0) {
      throw new PorchlightError(
        "postgres.embedded.unreachable",
        `PostgreSQL runs as user ${account.uid}, who may not enter ${folder}`,
        { hint: `choose another place with --data, or: chmod a+x ${folder}` },
      );
    }
    [inner, folder] = [folder, dirname(folder)];
  }
}
