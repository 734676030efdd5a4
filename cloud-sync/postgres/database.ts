/** PostgreSQL for the rooms of central: a bounded pool, transactions, and the one place that retries. */
import pg from "pg";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import { copyIn } from "./copy.ts";
import { connectionIsSpent, databaseFailure } from "./failure.ts";
import { createSession } from "./session.ts";

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/name`, or with `?host=/folder` for a Unix socket. */
  readonly url: string;
  /** Asked for at each new connection: it may be changed while the program runs. Else the URL's. */
  readonly password?: (() => string) | undefined;
  /** Connections at the same time. */
  readonly connectionsMax?: number;
  readonly statementTimeoutMs?: number;
  readonly logger: Logger;
  /** Even in [0, 1), for the jitter of retries. */
  readonly random: () => number;
}

type Value = string | number | bigint | boolean | Date | Buffer | null | readonly Value[];

/** A statement that each connection parses once: a name has one text in the whole program. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

/** For what runs with every commit: parsing takes the server longer than finding a row. */
export function prepared(name: string, text: string): Prepared {
  return { name: `porchlight_${name}`, text };
}

/** One connection while it is ours: inside a transaction. */
export interface Connection {
  /**
   * Runs one statement; rows are unknown until their reader has checked them (int8 is a bigint).
   * Text without values may be several statements.
   */
  query(statement: string | Prepared, values?: readonly Value[]): Promise<readonly unknown[]>;
  /** `COPY … FROM STDIN` with these bytes, in whatever format the statement says. */
  copyIn(statement: string, bytes: Buffer): Promise<void>;
}

export interface Database extends Pick<Connection, "query"> {
  /** The server and the database, without the password: for messages. */
  readonly place: string;
  /**
   * Runs `work` in one transaction (READ COMMITTED), again when a failure passes. A commit whose
   * answer was lost may have happened, so what is run twice must come to the same.
   * Throws what failure.ts makes of it (`database.unreachable`, `.read-only`, `.full` …, remedy
   * `retry`) when it did not pass.
   */
  transaction<T>(work: (connection: Connection) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Waits for what runs, and closes every connection. Safe to call twice. */
  close(): Promise<void>;
}

/** Ingest, sinks and the API of one process; a server allows 100 connections by default. */
const CONNECTIONS_MAX = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;
/** The longest statement we know, a group commit of 10,000 entries, takes a fifth of a second. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** Seven retries span two seconds: a failover takes longer, and is the caller's to wait out. */
const ATTEMPTS_MAX = 8;
const BACKOFF = { firstMs: 50, maxMs: 1_000 } as const;

const INT8 = 20;
const types: pg.CustomTypesConfig = {
  // pg's own parser makes text of an int8: a position would be compared as text.
  getTypeParser: (oid: number, format?: "text" | "binary") =>
    oid === INT8 && format !== "binary" ? BigInt : pg.types.getTypeParser(oid, format),
};

/** Connects at the first query. */
export function createDatabase(options: DatabaseOptions): Database {
  const { logger, random, password, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  const place = placeOf(options.url);
  const session = createSession(statementTimeoutMs);
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: "porchlight-cloud",
    max: options.connectionsMax ?? CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    types,
    Client: clientWith(password),
    onConnect: (client) => session.prepare(client),
  });
  // An idle connection that breaks is replaced at the next query; unheard, it would end us.
  pool.on("error", (error) => logger.warn("database connection lost", { reason: error.message }));

  // In our hands, a connection that breaks between two statements says so here, and the next
  // statement throws it. Listening after connect() is too late: its last word may come with its first.
  pool.on("connect", (client) => client.on("error", () => undefined));

  const borrow = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    let spent = false;
    try {
      return await work(client);
    } catch (error) {
      spent = connectionIsSpent(error);
      throw error;
    } finally {
      client.release(spent);
    }
  };
  const inTransaction = async <T>(
    client: pg.PoolClient,
    work: (connection: Connection) => Promise<T>,
  ): Promise<T> => {
    try {
      await session.begin(client);
      const result = await work(connectionOf(client, session.pooled));
      await client.query("COMMIT");
      return result;
    } catch (error) {
      // Where that fails too, the connection has ended, and the pool knows.
      await client.query("ROLLBACK").catch(() => undefined);
      throw error;
    }
  };

  let closed: Promise<void> | undefined;
  return {
    place,
    async query(statement, values) {
      try {
        const ask = (connection: Connection) => connection.query(statement, values);
        // Behind a pooler, what is set for a connection holds in a transaction alone.
        return await borrow((client) =>
          session.pooled ? inTransaction(client, ask) : ask(connectionOf(client, false)),
        );
      } catch (error) {
        throw databaseFailure(error, place);
      }
    },
    async transaction(work, signal) {
      for (let tried = 1; ; tried++) {
        try {
          return await borrow((client) => inTransaction(client, work));
        } catch (error) {
          const failure = databaseFailure(error, place);
          const passes = failure instanceof PorchlightError && failure.remedy === "retry";
          if (!passes || tried === ATTEMPTS_MAX || signal?.aborted) throw failure;
          logger.warn("database transaction retried", { code: failure.code, tried });
          await pause(
            backoffMs(tried - 1, { ...BACKOFF, random }),
            signal ?? new AbortController().signal,
          );
        }
      }
    },
    close() {
      closed ??= pool.end();
      return closed;
    },
  };
}

/** pg takes the URL's password, were it empty, before any other. */
function clientWith(password: (() => string) | undefined): typeof pg.Client {
  if (password === undefined) return pg.Client;
  return class extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      Object.assign(this, { password });
    }
  };
}

function connectionOf(client: pg.PoolClient, pooled: boolean): Connection {
  return {
    async query(statement, values) {
      const { rows } = await client.query(queryOf(statement, pooled, values));
      // Several statements in one text answer with a list of results.
      return rows ?? [];
    },
    copyIn: (statement, bytes) => copyIn(client, statement, bytes),
  };
}

/** Behind a pooler a name would be looked for on another connection. */
function queryOf(
  statement: string | Prepared,
  pooled: boolean,
  values?: readonly Value[],
): pg.QueryConfig {
  const given = values === undefined ? {} : { values: [...values] };
  if (typeof statement === "string") return { text: statement, ...given };
  return pooled ? { text: statement.text, ...given } : { ...statement, ...given };
}

/** host:port/name of a URL; what comes before the host may be a password. */
function placeOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  invariant(parsed !== null, "a database URL was checked where it was read");
  const host = parsed.searchParams.get("host") ?? parsed.host;
  return `${host}${parsed.pathname}`;
}
