/**
 * The tables of a projection: which version is served, and how another one is built and swapped.
 *
 *     porchlight_read        is served
 *     porchlight_read_next   is built, from the first entry on; its cursor is the row "<sink>.next"
 *     porchlight_read_old    was served, and is dropped, table by table
 */
import { z } from "zod";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import type { AnyProjection } from "../projection.ts";
import type { Held } from "./cursors.ts";
import type { Fence } from "./fence.ts";
import { clearRejects, takeOverRejects } from "./rejects.ts";

/** One set of tables that is fed: those served, or those being built. */
export interface Track {
  /** Of its cursor. */
  readonly cursor: string;
  /** Null where the projection has no tables of its own. */
  readonly schema: string | null;
  readonly position: bigint;
}

export interface Builds {
  /** What is to be fed now; the one that is built is the last. Makes the tables that lack. */
  open(held: Held, signal: AbortSignal): Promise<readonly Track[]>;
  /** Serves what was built. */
  swap(built: Track, signal: AbortSignal): Promise<void>;
}

const EXISTS = "SELECT WHERE to_regclass($1) IS NOT NULL";
const START = `UPDATE sink_cursors SET position = 0, reset_asked = false, incomplete = false,
  moved_at = now() WHERE sink = $1`;
const ADD_NEXT = `INSERT INTO sink_cursors (sink) VALUES ($1) ON CONFLICT (sink) DO UPDATE SET
  position = 0, written = 0, generation = gen_random_uuid(), moved_at = now()
  RETURNING generation::text`;
const CURSOR = "SELECT position, generation::text FROM sink_cursors WHERE sink = $1";
const REMOVE = "DELETE FROM sink_cursors WHERE sink = $1";
const SWAPPED = `UPDATE sink_cursors SET position = built.position, written = built.written,
    reset_asked = false, incomplete = false, moved_at = now()
  FROM (SELECT position, written FROM sink_cursors WHERE sink = $2) AS built WHERE sink = $1
  RETURNING generation::text`;
const SCHEMA = "SELECT FROM pg_namespace WHERE nspname = $1";
const TABLES = `SELECT format('%I.%I', nspname, relname) AS name FROM pg_class
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE nspname = $1 AND relkind IN ('r', 'p') ORDER BY relname <> 'projection', relispartition DESC, relname`;

const versionRows = z.array(z.object({ version: z.int(), cursor: z.string().nullable() }));
const cursorRows = z.array(z.object({ position: z.bigint(), generation: z.string() }));
const generationRow = z.tuple([z.object({ generation: z.string() })]);
const nameRows = z.array(z.object({ name: z.string() }));

function nextOf(sink: string): string {
  return `${sink}.next`;
}

export function createBuilds(
  database: Pick<Database, "query">,
  projection: AnyProjection,
  fence: Fence,
): Builds {
  const tables = new Tables(database, projection, fence);
  const { name: sink, schema } = projection;
  return {
    open: (held, signal) =>
      schema === null ? openPlain(fence, sink, held, signal) : tables.open(schema, held, signal),
    swap: (built, signal) => tables.swap(built, signal),
  };
}

/** Without tables of its own: a replay writes the same again. */
function openPlain(
  fence: Fence,
  sink: string,
  { resetAsked }: Held,
  signal: AbortSignal,
): Promise<readonly Track[]> {
  return fence.enter(
    sink,
    async (connection, { position }) => {
      const track = { cursor: sink, schema: null };
      if (!resetAsked) return [{ ...track, position }];
      await clearRejects(connection, sink);
      await connection.query(START, [sink]);
      return [{ ...track, position: 0n }];
    },
    signal,
  );
}

class Tables {
  readonly #database: Pick<Database, "query">;
  readonly #projection: AnyProjection;
  readonly #fence: Fence;
  readonly #sink: string;

  constructor(database: Pick<Database, "query">, projection: AnyProjection, fence: Fence) {
    this.#database = database;
    this.#projection = projection;
    this.#fence = fence;
    this.#sink = projection.name;
  }

  async open(schema: string, held: Held, signal: AbortSignal): Promise<readonly Track[]> {
    const version = await this.#projection.version();
    await this.#discard(`${schema}_old`, signal);
    const served = await this.#stateOf(schema, this.#sink);
    if (served.version === null) return [await this.#first(schema, signal)];
    const same = served.version === version && served.own;
    const fed = same ? [{ cursor: this.#sink, schema, position: served.position }] : [];
    const cursor = nextOf(this.#sink);
    const next = await this.#stateOf(`${schema}_next`, cursor);
    if (!same || held.resetAsked) {
      const building = { cursor, schema: `${schema}_next`, position: next.position };
      if (next.version === version && next.own) return [...fed, building];
      return [...fed, await this.#begin(building, signal)];
    }
    if (next.version !== null || next.there) {
      await this.#discard(`${schema}_next`, signal);
      await this.#fence.enter(this.#sink, (each) => each.query(REMOVE, [cursor]), signal);
    }
    return fed;
  }

  /** Serves what was built; what was served is dropped when it is opened again. */
  swap({ cursor, schema: built }: Track, signal: AbortSignal): Promise<void> {
    const { schema } = this.#projection;
    return this.#fence.enter(
      cursor,
      async (connection) => {
        await connection.query(`ALTER SCHEMA ${schema} RENAME TO ${schema}_old`);
        await connection.query(`ALTER SCHEMA ${built} RENAME TO ${schema}`);
        const rows = await connection.query(SWAPPED, [this.#sink, cursor]);
        const [{ generation }] = generationRow.parse(rows);
        await connection.query(`UPDATE ${schema}.projection SET cursor = $1`, [generation]);
        await takeOverRejects(connection, this.#sink, cursor);
        await connection.query(REMOVE, [cursor]);
      },
      signal,
    );
  }

  /** Where nothing is served yet, there is nothing to wait for. */
  #first(schema: string, signal: AbortSignal): Promise<Track> {
    return this.#fence.enter(
      this.#sink,
      async (connection, { generation }) => {
        await this.#create(connection, schema, generation);
        await clearRejects(connection, this.#sink);
        await connection.query(START, [this.#sink]);
        return { cursor: this.#sink, schema, position: 0n };
      },
      signal,
    );
  }

  async #begin({ cursor, schema }: Track, signal: AbortSignal): Promise<Track> {
    await this.#discard(schema ?? "", signal);
    return this.#fence.enter(
      this.#sink,
      async (connection) => {
        const rows = await connection.query(ADD_NEXT, [cursor]);
        const [{ generation }] = generationRow.parse(rows);
        await clearRejects(connection, cursor);
        await this.#create(connection, schema ?? "", generation);
        return { cursor, schema, position: 0n };
      },
      signal,
    );
  }

  async #create(connection: Connection, schema: string, generation: string): Promise<void> {
    const version = await this.#projection.version();
    // Not into a database that lacks the log's tables: it is being restored, or another's.
    await connection.query("SELECT FROM porchlight_migrations LIMIT 1");
    await connection.query(`CREATE SCHEMA ${schema}`);
    await connection.query(await this.#projection.tables(schema));
    const columns = "version integer NOT NULL, cursor uuid NOT NULL";
    await connection.query(`CREATE TABLE ${schema}.projection (${columns})`);
    const values = [version, generation];
    await connection.query(`INSERT INTO ${schema}.projection VALUES ($1, $2)`, values);
  }

  /** Drops a schema that is not served, table by table: thousands of partitions are no one commit. */
  async #discard(schema: string, signal: AbortSignal): Promise<void> {
    if ((await this.#database.query(SCHEMA, [schema])).length === 0) return;
    for (const { name } of nameRows.parse(await this.#database.query(TABLES, [schema]))) {
      const drop = `DROP TABLE IF EXISTS ${name} CASCADE`;
      await this.#fence.enter(this.#sink, (connection) => connection.query(drop), signal);
    }
    const drop = `DROP SCHEMA IF EXISTS ${schema} CASCADE`;
    await this.#fence.enter(this.#sink, (connection) => connection.query(drop), signal);
  }

  async #stateOf(schema: string, sink: string) {
    const version = await versionOf(this.#database, schema);
    const [cursor] = cursorRows.parse(await this.#database.query(CURSOR, [sink]));
    return {
      version: version?.version ?? null,
      there: cursor !== undefined,
      /** Whether these tables were written with this cursor. */
      own: cursor !== undefined && version?.cursor === cursor.generation,
      position: cursor?.position ?? 0n,
    };
  }
}

/** The version of a schema's tables and their cursor; null where there is no such schema. */
async function versionOf(
  database: Pick<Database, "query">,
  schema: string,
): Promise<z.infer<typeof versionRows>[number] | null> {
  if ((await database.query(EXISTS, [`${schema}.projection`])).length === 0) return null;
  const rows = await database.query(
    `SELECT version, to_jsonb(p)->>'cursor' AS cursor FROM ${schema}.projection p`,
  );
  const [row] = versionRows.parse(rows);
  if (row !== undefined) return row;
  throw new PorchlightError("sink.tables", `the tables in ${schema} say no version`, {
    hint: `drop what somebody has changed by hand: DROP SCHEMA ${schema} CASCADE`,
  });
}
