/**
 * What a connection is told before it is used. A database, a role or a shell may have settings of
 * their own (DateStyle, time zone, search_path, PGPORT …): none of them may change what we read.
 */
import type pg from "pg";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";

/**
 * pg fills what a URL leaves open from the variables of libpq, which were meant for another program
 * of the same shell, and would divert the embedded server's connections too. Called before the first.
 */
export function forgetShellVariables(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(environment)) if (/^PG[A-Z]/.test(name)) delete environment[name];
}

export interface Session {
  /** Makes a new connection ready. */
  prepare(client: pg.ClientBase): Promise<void>;
  /** Begins a transaction in which everything is as it has to be. */
  begin(client: pg.ClientBase): Promise<void>;
  /**
   * Whether something between us and the server hands out its connections transaction by
   * transaction (PgBouncer): nothing set or prepared on one is there in the next. Known once the
   * first connection is ready.
   */
  readonly pooled: boolean;
}

const SETTINGS: Readonly<Record<string, string>> = {
  client_encoding: "UTF8",
  datestyle: "ISO, YMD",
  intervalstyle: "postgres",
  timezone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  default_transaction_isolation: "read committed",
};

/**
 * The schema of our tables: the one that has them, of those that the server would look in, else
 * public. After it that of pgvector, which an installation may keep elsewhere.
 */
const FIND = `
  SELECT pg_backend_pid() AS backend,
    (SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relname = 'porchlight_migrations'
        AND (n.nspname = 'public' OR n.nspname = ANY (current_schemas(false)))
      ORDER BY array_position(current_schemas(false), n.nspname) NULLS LAST LIMIT 1) AS tables,
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      WHERE e.extname = 'vector') AS vector`;
const foundSchema = z.object({
  backend: z.int(),
  tables: z.string().nullable(),
  vector: z.string().nullable(),
});

/** A table with a foreign key, of the last in the alphabet. */
const LAST_KEYED = "sink_rejects";
const wholeSchema = z.object({ whole: z.boolean() });

export function createSession(statementTimeoutMs: number): Session {
  const timeouts = {
    statement_timeout: String(statementTimeoutMs),
    idle_in_transaction_session_timeout: String(statementTimeoutMs),
  };
  let pooled = false;
  let local = "";
  return {
    get pooled() {
      return pooled;
    },
    async prepare(client) {
      const { rows } = await client.query(FIND);
      const { backend, tables, vector } = foundSchema.parse(rows[0]);
      if (tables !== null) await ensureRestored(client, tables);
      const path = [...new Set([tables ?? "public", vector ?? "public"])].join(", ");
      const all = Object.entries({ ...SETTINGS, ...timeouts, search_path: path });
      // The pooler tells numbers of its own, since it hides the server's.
      pooled = backend !== processOf(client);
      local = all.map(([name, value]) => `SET LOCAL ${name} TO ${literal(name, value)}`).join(";");
      if (pooled) return;
      await client.query(
        all.map(([name, value]) => `SET ${name} TO ${literal(name, value)}`).join(";"),
      );
    },
    async begin(client) {
      await client.query(pooled ? `BEGIN;${local}` : "BEGIN");
    },
  };
}

/**
 * A restore makes the tables, fills one after the other, and makes keys last of all, foreign ones
 * after the others: what is written between would be in its way.
 */
async function ensureRestored(client: pg.ClientBase, schema: string): Promise<void> {
  const { rows } = await client.query(
    `SELECT EXISTS (SELECT FROM ${schema}.porchlight_migrations) AND (
       to_regclass($1) IS NULL OR EXISTS (SELECT FROM pg_constraint
         WHERE conrelid = to_regclass($1) AND contype = 'f')) AS whole`,
    [`${schema}.${LAST_KEYED}`],
  );
  if (wholeSchema.parse(rows[0]).whole) return;
  throw new PorchlightError("database.schema.missing", "the database is being restored", {
    remedy: "retry",
    hint: "let the restore finish: the centre goes on by itself",
  });
}

/** A list of names is no string: quoted, it would be the name of one schema. */
function literal(name: string, value: string): string {
  return name === "search_path" ? value : `'${value}'`;
}

/** The server's number of this connection, as it was told at its start. */
function processOf(client: pg.ClientBase): number | null {
  return (client as { processID?: number | null }).processID ?? null; // not in its types
}
