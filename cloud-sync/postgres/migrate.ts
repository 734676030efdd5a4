/** Brings the schema of central up to date, with the rules of the device's (edge/sqlite/migrate.ts). */
import { readdirSync, readFileSync } from "node:fs";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import {
  type AppliedMigration,
  appliedSchema,
  ensureRunnable,
  type MigratedPlace,
  type Migration,
  parseMigrations,
} from "../../shared/core/migrations.ts";
import type { Connection, Database } from "./database.ts";

/** A folder of `0001-name.sql` and `0001-name.down.sql`. Forward only in production. */
export type MigrationFolder = URL;

/** Instances that start at once queue here; "porchmig" as eight bytes. Kept until the commit. */
const LOCK = "SELECT pg_advisory_xact_lock(x'706f7263686d6967'::bigint)";
const TABLE = `CREATE TABLE IF NOT EXISTS porchlight_migrations (
  number     integer     PRIMARY KEY,
  name       text        NOT NULL,
  sha256     text        NOT NULL,
  breaking   boolean     NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;
const APPLIED = "SELECT number, name, sha256, breaking FROM porchlight_migrations ORDER BY number";
const appliedRows = z.array(appliedSchema);
const existsSchema = z.object({ exists: z.boolean() });

export function readMigrations(folder: MigrationFolder): readonly Migration[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  return parseMigrations(
    new Map(files.map((file) => [file, readFileSync(new URL(file, folder), "utf8")])),
  );
}

/**
 * Applies what is missing, one transaction each, under a lock that lasts as long: several instances
 * may start at once. Throws `store.schema.newer` or `store.schema.changed`.
 */
export async function migrate(database: Database, folder: MigrationFolder): Promise<void> {
  const known = readMigrations(folder);
  const step = async (connection: Connection): Promise<boolean> => {
    const applied = await readApplied(connection);
    ensureRunnable(applied, known, placeOf(database));
    const next = known[applied.length];
    if (next === undefined) return false;
    const { number, name, sha256, breaking, up } = next;
    await connection.query(
      "INSERT INTO porchlight_migrations (number, name, sha256, breaking) VALUES ($1, $2, $3, $4)",
      [number, name, sha256, breaking],
    );
    await connection.query(up);
    return true;
  };
  while (await database.transaction(step));
}

/**
 * Changes nothing. Throws `store.schema.missing` or `store.schema.older` where `migrate` would change
 * something, and what it throws itself.
 */
export async function ensureMigrated(database: Database, folder: MigrationFolder): Promise<void> {
  const known = readMigrations(folder);
  const [row] = await database.query(
    "SELECT to_regclass('porchlight_migrations') IS NOT NULL AS exists",
  );
  const applied = existsSchema.parse(row).exists
    ? appliedRows.parse(await database.query(APPLIED))
    : [];
  ensureRunnable(applied, known, placeOf(database));
  const [has, needs] = [applied.length, known.length];
  if (has >= needs) return;
  const hint = "run: porchlight-cloud migrate (porchlight-cloud start does it, too)";
  if (has === 0) {
    const text = `the database ${database.place} has no tables of porchlight-cloud yet`;
    throw new PorchlightError("store.schema.missing", text, { hint });
  }
  const text = `the database ${database.place} has schema version ${has}, and this program needs ${needs}`;
  throw new PorchlightError("store.schema.older", text, { hint });
}

function placeOf({ place }: Database): MigratedPlace {
  return {
    place: `the database ${place}`,
    program: "porchlight-cloud",
    wayBack: "restore a backup from before",
  };
}

/** Undoes migrations down to and including `number + 1`; for tests and for a way back by hand. */
export async function migrateDown(
  database: Database,
  folder: MigrationFolder,
  number: number,
): Promise<void> {
  const known = readMigrations(folder);
  const step = async (connection: Connection): Promise<boolean> => {
    const last = (await readApplied(connection)).at(-1);
    const migration = last === undefined ? undefined : known[last.number - 1];
    if (migration === undefined || migration.number <= number) return false;
    await connection.query(migration.down);
    const forget = "DELETE FROM porchlight_migrations WHERE number = $1";
    await connection.query(forget, [migration.number]);
    return true;
  };
  while (await database.transaction(step));
}

async function readApplied(connection: Connection): Promise<readonly AppliedMigration[]> {
  // A migration may rewrite a large table; the lock may wait as long for another's.
  await connection.query("SET LOCAL statement_timeout = 0");
  await connection.query(LOCK);
  await connection.query(TABLE);
  return appliedRows.parse(await connection.query(APPLIED));
}
