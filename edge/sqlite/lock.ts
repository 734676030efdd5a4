/** One daemon a store: a lock that the kernel lets go of when its holder ends, however it does. */
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { PorchlightError } from "../../shared/core/errors.ts";
import { replaceFile } from "../host/atomic-file.ts";
import { openPlain } from "./database.ts";
import { storeFailure } from "./failure.ts";

export interface StoreLock {
  release(): void;
}

/**
 * Held until `release`, or until the process ends: the lock is one of SQLite's on a file of its own
 * (fcntl(2)), and a second file says whose it is. Throws `store.locked`.
 */
export function lockStore(path: string, what: string): StoreLock {
  // SQLite makes it with the umask's mode.
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  const database = openPlain(path);
  try {
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = MEMORY");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (storeFailure(error)?.code !== "store.busy") throw error;
    throw locked(path);
  }
  replaceFile(`${path}.holder`, `${process.pid} ${what}\n`, { mode: 0o600 });
  return { release: () => void database.close() };
}

function locked(path: string): PorchlightError {
  const holder = holderOf(path);
  return new PorchlightError("store.locked", `the store is in use by ${holder}`, {
    hint: "look at it: systemctl status porchlight; stop it first: systemctl stop porchlight",
  });
}

function holderOf(path: string): string {
  try {
    const [pid, ...what] = readFileSync(`${path}.holder`, "utf8").trim().split(" ");
    return `${what.join(" ")} (pid ${Number(pid)})`;
  } catch {
    return "another process";
  }
}
