/**
 * Read models in PostgreSQL: devices, people, visits, media and an audit trail, in a schema of
 * their own. They are not migrated: another version of them is dropped and replayed.
 */
import type { Connection, Database } from "../../postgres/database.ts";
import type { Positioned, Resettable, Sink } from "../sink.ts";
import { refusalOf, writeIsolating } from "../support/bisect.ts";
import {
  type Body,
  decodeEntries,
  type Projected,
  projectionOf,
} from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { type RowOf, rowsOf } from "./rows.ts";
import {
  createTables,
  eraseStatements,
  PARTS,
  type Part,
  type PartName,
  READ_MODELS_VERSION,
  type Row,
  upsert,
} from "./schema.ts";

export interface PostgresSinkOptions {
  readonly database: Database;
  readonly devicesOf: DevicesOf;
  /** A name of lowercase letters and underscores. */
  readonly schema?: string;
  /** Of the projection. */
  readonly version?: number;
}

interface Work {
  readonly position: bigint;
  readonly subject: string | null;
  readonly rows: readonly RowOf[];
}

/** "porchrea" as eight bytes: two instances may open at once. */
const LOCK = "SELECT pg_advisory_xact_lock(x'706f726368726561'::bigint)";

export function createPostgresSink(options: PostgresSinkOptions): Sink & Positioned & Resettable {
  const {
    database,
    devicesOf,
    schema = "porchlight_read",
    version = READ_MODELS_VERSION,
  } = options;
  const statements = new Map(
    Object.entries<Part>(PARTS).map(([name, part]) => [name, upsert(schema, part)]),
  );
  const erasing = eraseStatements(schema);
  const state = `SELECT version, position FROM ${schema}.projection`;
  const moveTo = `UPDATE ${schema}.projection SET position = greatest(position, $1)`;
  const rebuild = async (connection: Connection): Promise<void> => {
    await connection.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await connection.query(createTables(schema));
    await connection.query(`UPDATE ${schema}.projection SET version = ${version}`);
  };
  const writeRows = async (work: readonly Work[], signal: AbortSignal): Promise<void> => {
    const subjects = work.flatMap(({ subject }) => (subject === null ? [] : [subject]));
    await database.transaction(async (connection) => {
      for (const [name, rows] of gather(work)) {
        signal.throwIfAborted();
        await connection.query(statements.get(name) ?? "", [JSON.stringify(rows)]);
      }
      for (const statement of erasing) await connection.query(statement, [subjects]);
      await connection.query(moveTo, [work.at(-1)?.position ?? 0n]);
      signal.throwIfAborted();
    }, signal);
  };
  return {
    name: "postgres",
    open: () =>
      database.transaction(async (connection) => {
        await connection.query(LOCK);
        const name = `${schema}.projection`;
        const [there] = await connection.query("SELECT WHERE to_regclass($1) IS NOT NULL", [name]);
        const same =
          there !== undefined && projectionOf(await connection.query(state)).version === version;
        if (!same) await rebuild(connection);
      }),
    async write(batch, signal) {
      const { items, rejected: unreadable } = await decodeEntries(batch, devicesOf, workOf);
      const { rejected } = await writeIsolating(
        items,
        (part) => writeRows(part, signal),
        refusalOf,
      );
      // What was rejected is passed as well: else the store would seem to have less than it was given.
      await database.query(moveTo, [batch.at(-1)?.position ?? 0n]);
      return { rejected: [...unreadable, ...rejected] };
    },
    position: async () => projectionOf(await database.query(state)).position,
    reset: () => database.transaction(rebuild),
    close: async () => undefined,
  };
}

function workOf(entry: Projected, body: Body | null): Work {
  return { position: entry.position, subject: entry.subject, rows: rowsOf(entry, body) };
}

/** Rows by statement, in its order; of several with one key the last, which came later. */
function gather(work: readonly Work[]): readonly (readonly [PartName, readonly Row[]])[] {
  const rows = work.flatMap((each) => each.rows);
  return Object.entries<Part>(PARTS).flatMap(([name, { key, once = [] }]) => {
    const byKey = new Map<Row[string], Row>();
    for (const { part, row } of rows) {
      if (part !== name) continue;
      const first = byKey.get(row[key] ?? null);
      const kept = Object.fromEntries(
        once.map((column) => [column, (first ?? row)[column] ?? null]),
      );
      byKey.set(row[key] ?? null, { ...row, ...kept });
    }
    return byKey.size === 0 ? [] : [[name as PartName, [...byKey.values()]] as const];
  });
}
