/** The durable cursor of each sink, and who may move it: the tables of 0004-sinks. */
import { z } from "zod";
import type { BreakerKind } from "../../../shared/core/breaker.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import type { RejectedEntry } from "../sink.ts";
import { addRejects, clearRejects, removeRejects } from "./rejects.ts";

/**
 * The lease: a holder that does not renew it for so long has lost it, and another instance takes
 * over.
 */
export const LEASE_MS = 15_000;

export interface Held {
  readonly position: bigint;
  readonly resetAsked: boolean;
  /** A replay may leave out archived months that cannot be read. */
  readonly incomplete: boolean;
  /** A retry of rejected entries was requested. */
  readonly again: boolean;
}

/** What a write has come to: moved together with the rejects, or not at all. */
export interface Step {
  readonly position: bigint;
  readonly written: number;
  readonly rejected: readonly RejectedEntry[];
  /** Rejected positions that were accepted this time. */
  readonly accepted?: readonly bigint[];
}

/** One sink's row, for one instance. All but `hold` are refused when another one holds it. */
export interface SinkCursor {
  /** Acquires or renews the lease. Null while another instance holds it. */
  hold(): Promise<Held | null>;
  release(): Promise<void>;
  /** Throws `sink.lost` when it is another's now. */
  settle(step: Step): Promise<void>;
  /** From the first entry again; rejects are cleared, since the same will be rejected again. */
  restart(): Promise<void>;
  /** Rejected entries to be retried. */
  again(limit: number): Promise<readonly bigint[]>;
  /** For `porchlight-cloud sinks list`. */
  note(breaker: BreakerKind, errorCode: string | null): Promise<void>;
}

const REGISTER = "INSERT INTO sink_cursors (sink) VALUES ($1) ON CONFLICT DO NOTHING";
const HOLD = `UPDATE sink_cursors
  SET holder = $2, held_until = clock_timestamp() + interval '${LEASE_MS} milliseconds'
  WHERE sink = $1 AND (holder IS NULL OR holder = $2 OR held_until < clock_timestamp())
  RETURNING position, reset_asked, incomplete,
    EXISTS (SELECT FROM sink_rejects r WHERE r.sink = $1 AND r.again) AS again`;
const RELEASE = `UPDATE sink_cursors SET holder = NULL, held_until = NULL
  WHERE sink = $1 AND holder = $2`;
const MOVE = `UPDATE sink_cursors SET position = $3, written = written + $4, moved_at = now(),
  held_until = clock_timestamp() + interval '${LEASE_MS} milliseconds'
  WHERE sink = $1 AND holder = $2 AND NOT reset_asked RETURNING sink`;
const RESTART = `UPDATE sink_cursors SET position = 0, reset_asked = false, moved_at = now()
  WHERE sink = $1 AND holder = $2 RETURNING sink`;
const AGAIN = `SELECT position FROM sink_rejects WHERE sink = $1 AND again
  ORDER BY position LIMIT $2`;
const NOTE = `UPDATE sink_cursors SET breaker = $3, error_code = $4,
  error_at = CASE WHEN $4::text IS NULL THEN NULL ELSE now() END
  WHERE sink = $1 AND holder = $2`;

const heldRows = z.array(
  z
    .object({
      position: z.bigint(),
      reset_asked: z.boolean(),
      incomplete: z.boolean(),
      again: z.boolean(),
    })
    .transform(({ reset_asked: resetAsked, ...held }): Held => ({ ...held, resetAsked })),
);
const positionRows = z.array(z.object({ position: z.bigint() }));

/** Not to be tried again: which of them it is, is seen when the lease is asked for. */
export function sinkLost(sink: string): PorchlightError {
  const message = `the lease of the sink ${sink} is lost: another instance runs or resets it`;
  return new PorchlightError("sink.lost", message, {
    hint: "nothing to do; see the sinks: porchlight-cloud sinks list",
  });
}

export function createSinkCursor(database: Database, sink: string, instance: string): SinkCursor {
  const mine = async (work: (connection: Connection) => Promise<readonly unknown[]>) => {
    await database.transaction(async (connection) => {
      if ((await work(connection)).length !== 1) throw sinkLost(sink);
    });
  };
  return {
    async hold() {
      await database.query(REGISTER, [sink]);
      return heldRows.parse(await database.query(HOLD, [sink, instance]))[0] ?? null;
    },
    async release() {
      await database.query(RELEASE, [sink, instance]);
    },
    settle: (step) =>
      mine(async (connection) => {
        const { position, written, rejected, accepted = [] } = step;
        const moved = await connection.query(MOVE, [sink, instance, position, written]);
        await removeRejects(connection, sink, accepted);
        await addRejects(connection, sink, rejected);
        return moved;
      }),
    restart: () =>
      mine(async (connection) => {
        await clearRejects(connection, sink);
        return connection.query(RESTART, [sink, instance]);
      }),
    async again(limit) {
      const rows = positionRows.parse(await database.query(AGAIN, [sink, limit]));
      return rows.map(({ position }) => position);
    },
    async note(breaker, errorCode) {
      await database.query(NOTE, [sink, instance, breaker, errorCode]);
    },
  };
}
