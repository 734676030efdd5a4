/** What can still be read of a damaged vault: the keys, which exist nowhere else. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { PERSONAL_CLASSES, type PersonalClass } from "../../shared/log/entry.ts";
import { SUBJECT_KEY_BYTES } from "../../shared/log/seal.ts";
import { publishFile, syncFolder } from "../host/atomic-file.ts";
import { type Database, openAsItIs } from "../sqlite/database.ts";
import { storeFailure } from "../sqlite/failure.ts";
import { createVaultDatabase, type VaultOptions, vaultPath } from "./open-vault.ts";

export interface Salvaged {
  /** Keys that were read, and lookups that a damaged page has prevented. */
  readonly keys: number;
  readonly unreadable: number;
}

interface SubjectKey {
  readonly subject: string;
  readonly class: PersonalClass;
  readonly key: Buffer;
}

const keyRow = z.instanceof(Buffer).refine((key) => key.length === SUBJECT_KEY_BYTES);

/**
 * Puts a new vault into the place of a damaged one, with every key of these subjects that can be
 * read; the projections follow the log into it when the store is opened. The damaged one stays beside
 * it, until somebody is erased. Throws `store.damaged` where nothing of it can be read.
 */
export function salvageVault(options: VaultOptions, subjects: ReadonlySet<string>): Salvaged {
  const path = vaultPath(options.folder);
  const damaged = openAsItIs(path, options.vaultKey);
  const found = readKeys(damaged, subjects);
  damaged.close();
  const next = `${path}.rebuilt`;
  for (const more of ["", "-wal", "-shm"]) rmSync(`${next}${more}`, { force: true });
  const vault = createVaultDatabase(options, next);
  const insert = vault.prepare("INSERT INTO subject_keys VALUES (?, ?, ?)");
  vault
    .transaction(() => {
      for (const { subject, class: of, key } of found.keys) insert.run(subject, of, key);
    })
    .immediate();
  vault.pragma("wal_checkpoint(TRUNCATE)");
  vault.close();
  renameSync(path, `${path}.before-rebuild`);
  for (const more of ["-wal", "-shm"]) {
    if (existsSync(`${path}${more}`)) renameSync(`${path}${more}`, `${path}.before-rebuild${more}`);
  }
  publishFile(next, path);
  syncFolder(dirname(path));
  return { keys: found.keys.length, unreadable: found.unreadable };
}

/** One by one: each lookup needs a page or two, and those of others may be whole. */
function readKeys(vault: Database, subjects: ReadonlySet<string>) {
  const keys: SubjectKey[] = [];
  let unreadable = 0;
  const select = prepared(vault);
  for (const subject of subjects) {
    for (const of of PERSONAL_CLASSES) {
      try {
        const key = keyRow.optional().parse(select.get(subject, of));
        if (key !== undefined) keys.push({ subject, class: of, key });
      } catch (error) {
        if (!(error instanceof z.ZodError) && storeFailure(error)?.code !== "store.damaged") {
          throw error;
        }
        unreadable++;
      }
    }
  }
  if (keys.length === 0 && unreadable > 0) throw lost(vault.name);
  return { keys, unreadable };
}

function prepared(vault: Database) {
  try {
    return vault.prepare("SELECT key FROM subject_keys WHERE subject = ? AND class = ?").pluck();
  } catch (error) {
    throw storeFailure(error) === null ? error : lost(vault.name);
  }
}

function lost(path: string): PorchlightError {
  return new PorchlightError("store.damaged", `no key can be read in ${path}`, {
    hint: "restore vault.db from a backup; the log is not affected: porchlight log verify",
  });
}
