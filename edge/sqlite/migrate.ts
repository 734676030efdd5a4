import { chmodSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { invariant } from "../../shared/core/errors.ts";
import {
  type AppliedMigration,
  appliedSchema,
  ensureRunnable,
  type Migration,
  parseMigrations,
} from "../../shared/core/migrations.ts";
import { publishFile, syncFolder } from "../host/atomic-file.ts";
import type { Database } from "./database.ts";

/** A folder of `0001-name.sql` and `0001-name.down.sql`. Forward only in production. */
export type MigrationFolder = URL;

export interface MigrateContext {
  readonly path: string;
  readonly now: () => number;
}

const appliedRows = z.array(appliedSchema);

export function readMigrations(folder: MigrationFolder): readonly Migration[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  return parseMigrations(
    new Map(files.map((file) => [file, readFileSync(new URL(file, folder), "utf8")])),
  );
}

/**
 * Applies what is missing, one transaction each. Safe in two processes at once: the row is
 * inserted first, so whoever comes second waits, sees the row and goes on.
 * A database that already holds something is copied to `<path>.before-NNNN` first.
 */
export function migrate(
  database: Database,
  folder: MigrationFolder,
  context: MigrateContext,
): void {
  const migrations = readMigrations(folder);
  const applied = readApplied(database);
  ensureRunnable(applied, migrations, {
    place: context.path,
    program: "porchlight",
    wayBack: "restore the copy it made: <file>.before-NNNN",
  });
  const missing = migrations.filter(({ number }) => number > applied.length);
  if (missing.length === 0) return;
  if (applied.length > 0) backUp(database, applied.length, context.path);
  for (const migration of missing) apply(database, migration, context.now());
}

/** Undoes migrations down to and including `number + 1`; for tests and for a way back by hand. */
export function migrateDown(database: Database, folder: MigrationFolder, number: number): void {
  const migrations = readMigrations(folder);
  for (const { number: last } of readApplied(database).reverse()) {
    if (last <= number) return;
    const migration = migrations[last - 1];
    invariant(migration !== undefined, "only known migrations are undone");
    database
      .transaction(() => {
        database.prepare("DELETE FROM migrations WHERE number = ?").run(last);
        database.exec(migration.down);
      })
      .immediate();
  }
}

/** Copies made before migrations and repairs hold keys and names too: erasure removes them, for good. */
export function removeBackups(path: string): void {
  const backups = backupsOf(path);
  for (const backup of backups) rmSync(backup, { force: true });
  if (backups.length > 0) syncFolder(dirname(path));
}

/** Whole copies and halves of them. */
function backupsOf(path: string): string[] {
  const folder = dirname(path);
  return readdirSync(folder)
    .filter((file) => file.startsWith(`${basename(path)}.before-`))
    .map((file) => join(folder, file));
}

function readApplied(database: Database): AppliedMigration[] {
  const table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'";
  if (database.prepare(table).get() === undefined) return [];
  const rows = database.prepare(
    "SELECT number, name, sha256, breaking FROM migrations ORDER BY number",
  );
  return appliedRows.parse(rows.all());
}

/** Leaves a whole copy of what was there before, or none; a copy half written is never taken for one. */
function backUp(database: Database, applied: number, path: string): void {
  const copy = `${path}.before-${String(applied + 1).padStart(4, "0")}`;
  const partial = `${copy}.partial-${process.pid}`;
  rmSync(partial, { force: true });
  // VACUUM INTO keeps the cipher and the key of the database (probed: the copy opens with them).
  database.prepare("VACUUM INTO ?").run(partial);
  // Another process may have migrated meanwhile; then its copy is the one from before.
  if (readApplied(database).length !== applied) {
    rmSync(partial);
    return;
  }
  chmodSync(partial, statSync(path).mode & 0o777);
  publishFile(partial, copy);
}

function apply(database: Database, migration: Migration, appliedAt: number): void {
  database
    .transaction(() => {
      database.exec(`CREATE TABLE IF NOT EXISTS migrations (
        number     INTEGER PRIMARY KEY,
        name       TEXT    NOT NULL,
        sha256     TEXT    NOT NULL,
        breaking   INTEGER NOT NULL,
        applied_at INTEGER NOT NULL
      ) STRICT`);
      const { number, name, sha256, breaking, up } = migration;
      const inserted = database
        .prepare("INSERT OR IGNORE INTO migrations VALUES (?, ?, ?, ?, ?)")
        .run(number, name, sha256, breaking ? 1 : 0, appliedAt);
      if (inserted.changes === 1) database.exec(up);
    })
    .immediate();
}
