import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { PorchlightError } from "../../shared/core/errors.ts";
import { openStore, type StoreOptions } from "../store/open-store.ts";
import { vaultPath } from "../vault/open-vault.ts";
import type { Actor } from "./cast.ts";

/** Tries what a thief would: another key, and reading names out of the files. */
export function isSealed(options: StoreOptions, actors: readonly Actor[]): boolean {
  const bytes = readFileSync(vaultPath(options.folder));
  const readable = actors.some(({ name }) => name.length > 3 && bytes.includes(name));
  const plain = bytes.subarray(0, 6).toString("latin1") === "SQLite";
  const otherKey = createHash("sha256").update(options.vaultKey).digest();
  try {
    openStore({ ...options, vaultKey: otherKey }).close();
    return false;
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.code !== "store.key.wrong") throw error;
    return !readable && !plain;
  }
}
