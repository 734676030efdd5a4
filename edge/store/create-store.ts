import { chmodSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import { createFile, syncFolder } from "../host/atomic-file.ts";
import { createEventLog } from "../log/event-log.ts";
import { logPath, openLogDatabase } from "../log/open-log.ts";
import { ensureFolder, mediaFolder } from "../media/media-files.ts";
import { openVaultDatabase, vaultPath } from "../vault/open-vault.ts";
import type { StoreOptions } from "./open-store.ts";

/** There from the first file that is made until the store is whole. */
const UNFINISHED = "init-unfinished";

/** Whether `createStore` was ended half way: nothing was ever recorded in such a store. */
export function isUnfinished(folder: string): boolean {
  return existsSync(join(folder, UNFINISHED));
}

/**
 * Makes the folders, both files and the first entry; what was ended half way is begun anew. Throws
 * `store.exists`.
 */
export function createStore(options: StoreOptions, device: string = options.newId()): void {
  const { folder } = options;
  if (!isUnfinished(folder)) refuseExisting(folder);
  mkdirSync(folder, { recursive: true });
  const mark = join(folder, UNFINISHED);
  if (!existsSync(mark)) createFile(mark, "", { mode: 0o600 });
  for (const path of [logPath(folder), vaultPath(folder)]) {
    // The daemon's alone: no other user enters.
    mkdirSync(dirname(path), { recursive: true });
    setMode(dirname(path), 0o700);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
    syncFolder(dirname(path));
  }
  ensureFolder(mediaFolder(folder));
  const log = openLogDatabase(options, true);
  const vault = openVaultDatabase(options, true);
  createEventLog({ database: log, ...options }).begin(device, null);
  vault.close();
  log.close();
  syncFolder(folder);
  rmSync(mark);
  syncFolder(folder);
}

/** Throws `store.unfinished`: nobody works on a store that its init has not finished. */
export function refuseUnfinished(folder: string): void {
  if (!isUnfinished(folder)) return;
  throw new PorchlightError("store.unfinished", `the store in ${folder} was not finished`, {
    hint: "finish it, nothing is lost: porchlight init --if-missing",
  });
}

function refuseExisting(folder: string): void {
  for (const path of [logPath(folder), vaultPath(folder)]) {
    if (!existsSync(path)) continue;
    throw new PorchlightError("store.exists", `there is already a store at ${path}`, {
      hint: "look at it: porchlight status; or choose another folder with --data",
    });
  }
}

/** Under RestrictSUIDSGID= nobody sets a setgid bit, so one that tmpfiles.d has set is left alone. */
function setMode(path: string, mode: number): void {
  if ((statSync(path).mode & 0o7777) !== mode) chmodSync(path, mode);
}
