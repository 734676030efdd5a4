import { chmodSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { invariant, systemCodeOf } from "../../shared/core/errors.ts";
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

/** For the reserve, and for what the migrations themselves write. */
const SPARE_BYTES = 64 * 1024 * 1024;
/** A copy is a way back from an update: after a month nobody takes it. */
const KEPT_MS = 30 * 86_400_000;
/** A repaired file and its write-ahead log are of one moment. */
const SAME_MS = 3_600_000;
const PARTIAL = /\.partial-(\d+)(-journal)?$/;
const WHOLE = /\.before-(\d+|rebuild(-wal|-shm)?)$/;

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
 * A database that already holds something is copied to `<path>.before-NNNN` first, where what
 * follows could lose anything of it and the disk has room: each is a transaction either way.
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
  removeStaleBackups(context);
  const missing = migrations.filter(({ number }) => number > applied.length);
  if (missing.length === 0) return;
  const isAtRisk = applied.length > 0 && !missing.every(({ up }) => isAdditive(up));
  if (isAtRisk && hasRoomFor(database, context.path)) {
    backUp(database, applied.length, context.path);
  }
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
  const backups = [...backupsOf(path), ...besides(path, ".rebuilt")];
  for (const backup of backups) rmSync(backup, { force: true });
  if (backups.length > 0) syncFolder(dirname(path));
}

/** What is there stays as it is: tables, indexes and columns only come. */
function isAdditive(sql: string): boolean {
  const statements = sql.replace(/--.*$/gm, "").split(";");
  return statements.every((statement) =>
    /^\s*(CREATE (UNIQUE |VIRTUAL )?(TABLE|INDEX)\b|ALTER TABLE \S+ ADD\b|$)/i.test(statement),
  );
}

/** A copy is as large as the database, and must not take the last of the disk. */
function hasRoomFor(database: Database, path: string): boolean {
  const pragma = (name: string): number => Number(database.pragma(name, { simple: true }));
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize >= pragma("page_count") * pragma("page_size") + SPARE_BYTES;
}

/** Halves whose process is gone, and all but the last copy, which is kept for a while. */
function removeStaleBackups({ path, now }: MigrateContext): void {
  const whole: { readonly file: string; readonly ageMs: number }[] = [];
  for (const file of backupsOf(path)) {
    const pid = PARTIAL.exec(file)?.[1];
    const stats = statSync(file, { throwIfNoEntry: false });
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(file, { force: true });
    if (WHOLE.test(file) && stats !== undefined) {
      whole.push({ file, ageMs: now() - stats.mtimeMs });
    }
  }
  const youngestMs = Math.min(...whole.map(({ ageMs }) => ageMs));
  for (const { file, ageMs } of whole) {
    if (ageMs > KEPT_MS || ageMs > youngestMs + SAME_MS) rmSync(file, { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) === "EPERM";
  }
}

/** Whole copies and halves of them. */
function backupsOf(path: string): string[] {
  return besides(path, ".before-");
}

function besides(path: string, more: string): string[] {
  const folder = dirname(path);
  return readdirSync(folder)
    .filter((file) => file.startsWith(`${basename(path)}${more}`))
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
