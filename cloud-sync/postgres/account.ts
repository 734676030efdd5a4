/** As whom a PostgreSQL of our own runs: it refuses to be root. */
import {
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { systemCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { serversOn } from "./cluster.ts";
import { ownUser, userNameOf } from "./system-user.ts";

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The overflow user of the kernel, by whichever name: whatever maps to nobody else runs as it. */
const NOBODY = 65_534;

/**
 * Makes the server's folder (mode 0700) and tells whose server it will be: null for our own user.
 * As root it is the owner of the folder, or of the one around it; where root owns both, a system
 * user that has nothing else to do (system-user.ts).
 */
export async function prepareFolder(folder: string, logger: Logger): Promise<Account | null> {
  // The folders above it are for others too: the mode is for the last one alone.
  const made = mkdirSync(dirname(folder), { recursive: true });
  makePrivate(folder);
  if (process.geteuid?.() !== 0) return null;
  const owner = statSync(folder);
  const keeps = !isAnybodys(owner) || serversOn(join(realpathSync(folder), "data")).length > 0;
  if (owner.uid !== 0 && keeps) return { uid: owner.uid, gid: owner.gid };
  const around = statSync(dirname(made ?? folder));
  const isTheirs = around.uid !== 0 && !isAnybodys(around);
  const account = isTheirs ? { uid: around.uid, gid: around.gid } : await ownUser(logger);
  giveTo(folder, owner.uid, account);
  return account;
}

/** Another process may make it at the same moment. */
function makePrivate(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
  }
}

/** Earlier versions gave the folder to nobody; a container made anew has forgotten its users. */
function isAnybodys({ uid }: Account): boolean {
  return uid === NOBODY || userNameOf(uid) === null;
}

/** The folder first: who owned it cannot reach what is in it any more. Links are not followed. */
function giveTo(path: string, from: number, { uid, gid }: Account): void {
  chownSync(path, uid, gid);
  for (const name of from === 0 ? [] : readdirSync(path)) {
    const inner = join(path, name);
    const found = lstatSync(inner);
    if (found.isDirectory()) giveTo(inner, from, { uid, gid });
    else if (found.uid === from) lchownSync(inner, uid, gid);
  }
}
