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
  return openAt(options, vaultPath(options.folder), create);
}

/** An empty vault at another place, to be given its name once it is whole. */
export function createVaultDatabase(options: VaultOptions, path: string): Database {
  return openAt(options, path, true);
}

function openAt(options: VaultOptions, path: string, create: boolean): Database {
  return openDatabase({
    path,
    key: options.vaultKey,
    migrations: MIGRATIONS,
    create,
    vectors: true,
    now: options.clock.now,
  });
}
