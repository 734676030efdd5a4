import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import { createEventLog } from "../log/event-log.ts";
import { logPath, openLogDatabase } from "../log/open-log.ts";
import { ensureFolder, mediaFolder } from "../media/media-files.ts";
import { openVaultDatabase, vaultPath } from "../vault/open-vault.ts";
import type { StoreOptions } from "./open-store.ts";

/** Makes the folders, both files and the first entry. Throws `store.exists`. */
export function createStore(options: StoreOptions): void {
  const { folder, newId } = options;
  for (const path of [logPath(folder), vaultPath(folder)]) {
    if (!existsSync(path)) continue;
    throw new PorchlightError("store.exists", `there is already a store at ${path}`, {
      hint: "look at it: porchlight status; or choose another folder with --data",
    });
  }
  mkdirSync(join(folder, "log"), { recursive: true });
  mkdirSync(join(folder, "vault"), { recursive: true });
  // The agent shares log.db through the group; no other user enters the vault.
  setMode(join(folder, "log"), 0o2770);
  setMode(join(folder, "vault"), 0o700);
  ensureFolder(mediaFolder(folder));
  const log = openLogDatabase(options, true);
  const vault = openVaultDatabase(options, true);
  createEventLog({ database: log, ...options }).begin(newId(), null);
  vault.close();
  log.close();
}

/** Under RestrictSUIDSGID= nobody sets a setgid bit, so one that tmpfiles.d has set is left alone. */
function setMode(path: string, mode: number): void {
  if ((statSync(path).mode & 0o7777) !== mode) chmodSync(path, mode);
}
