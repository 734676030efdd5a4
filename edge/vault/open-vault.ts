import { join } from "node:path";
import type { Clock } from "../../shared/core/clock.ts";
import { type Database, openDatabase } from "../sqlite/database.ts";

const MIGRATIONS = new URL("./migrations/", import.meta.url);

export interface VaultOptions {
  /** Of the whole store. */
  readonly folder: string;
  readonly vaultKey: Uint8Array;
  readonly clock: Clock;
}

export function vaultPath(folder: string): string {
  return join(folder, "vault", "vault.db");
}

export function openVaultDatabase(options: VaultOptions, create: boolean): Database {
  return openDatabase({
    path: vaultPath(options.folder),
    key: options.vaultKey,
    migrations: MIGRATIONS,
    create,
    vectors: true,
    now: options.clock.now,
  });
}
