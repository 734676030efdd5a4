/**
 * The fence of a projection in our own PostgreSQL: each transaction begins by locking the cursor row
 * as its holder. Whoever was followed meanwhile finds no row, and writes nothing.
 */
import { z } from "zod";
import type { Connection, Database } from "../../postgres/database.ts";
import type { Fenced } from "../projection.ts";
import { LEASE_MS, sinkLost } from "./cursors.ts";
import { addRejects } from "./rejects.ts";

/** The cursor of a sink, or of the version of it that is being built. */
export interface FencedCursor {
  readonly position: bigint;
  readonly generation: string;
}

export interface Fence {
  /** In one transaction, with the cursor `name` as it is. Throws `sink.lost`. */
  enter<T>(
    name: string,
    work: (connection: Connection, cursor: FencedCursor) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** The same for work that moves no cursor: its rejects are those of `name`. */
  fenced(name: string, signal: AbortSignal): Fenced;
}

/**
 * A holder that is paused within its transaction keeps the lock no longer than its lease. Rows and
 * cursor are lost together when the server loses power, and written again: they need no fsync of
 * their own.
 */
const ENTER = `SELECT own.position, own.generation::text,
    set_config('idle_in_transaction_session_timeout', '${LEASE_MS}', true) AS idle,
    set_config('synchronous_commit', $4, true) AS durable
  FROM sink_cursors held JOIN sink_cursors own ON own.sink = $3
  WHERE held.sink = $1 AND held.holder = $2 FOR UPDATE OF held, own`;
const cursorRows = z.array(z.object({ position: z.bigint(), generation: z.string() }));

export interface FenceOptions {
  readonly database: Database;
  readonly sink: string;
  readonly instance: string;
  /** Whether a commit is to be on the disk before it is answered. */
  readonly durable: boolean;
}

export function createFence({ database, sink, instance, durable }: FenceOptions): Fence {
  const enter: Fence["enter"] = (name, work, signal) =>
    database.transaction(async (connection) => {
      const mode = durable ? "on" : "off";
      const rows = await connection.query(ENTER, [sink, instance, name, mode]);
      const [cursor] = cursorRows.parse(rows);
      if (cursor === undefined) throw sinkLost(sink);
      const result = await work(connection, cursor);
      signal.throwIfAborted();
      return result;
    }, signal);
  return {
    enter,
    fenced: (name, signal) => (work) =>
      enter(
        name,
        async (connection) => addRejects(connection, name, await work(connection)),
        signal,
      ),
  };
}
