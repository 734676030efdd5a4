/** What a person sees of the sinks and asks of them, from whatever process: it stands in the database. */
import { z } from "zod";
import { EXIT, PorchlightError } from "../../../shared/core/errors.ts";
import type { Database } from "../../postgres/database.ts";

export interface SinkState {
  readonly name: string;
  readonly position: bigint;
  readonly written: bigint;
  /** Entries that its store rejected and that are kept. */
  readonly rejected: number;
  /** Rejects over a device's quota: counted, and passed. */
  readonly discarded: number;
  readonly breaker: "closed" | "open" | "half-open";
  readonly errorCode: string | null;
  readonly errorAt: Date | null;
  /** Whether an instance runs it at this moment. */
  readonly running: boolean;
  /** Entries it has not passed, counted up to LAG_ENTRIES_MAX; and how long the first one waits. */
  readonly lagEntries: number;
  readonly lagS: number;
  /** Another version of its tables, or a replay of them, while it is built; null otherwise. */
  readonly rebuild: { readonly lagEntries: number; readonly errorCode: string | null } | null;
}

export interface RejectedEntry {
  readonly position: bigint;
  readonly log: string;
  readonly seq: number;
  readonly reason: string;
  readonly at: Date;
}

export interface SinkControl {
  /** Every sink that has ever run here, by name. */
  states(): Promise<readonly SinkState[]>;
  /** What a sink's store rejected after a position, oldest first. Throws `sink.unknown`. */
  rejects(sink: string, after: bigint, limit: number): Promise<readonly RejectedEntry[]>;
  /** Requests a retry of rejected entries, all of them or one; returns how many. */
  replayRejects(sink: string, position?: bigint): Promise<number>;
  /** Discards rejected entries, all of them or one; returns how many. They stay in the log. */
  dropRejects(sink: string, position?: bigint): Promise<number>;
  /**
   * Requests a replay from the first entry, archived months included; what is served stays until it
   * is level. With `incomplete`, a month that the archive cannot give is left out.
   */
  reset(sink: string, options?: { readonly incomplete?: boolean }): Promise<void>;
  /**
   * Removes the cursor of a retired sink, so that the archive does not wait for it. Throws
   * `sink.running` while an instance runs it.
   */
  forget(sink: string): Promise<void>;
}

/** Lag is counted up to this number only: counting further takes longer and is no more use. */
export const LAG_ENTRIES_MAX = 100_000;

function lagOf(cursor: string): string {
  return `(SELECT count(*) FROM (SELECT FROM event_log e WHERE e.position > ${cursor}.position
      LIMIT ${LAG_ENTRIES_MAX}) AS ahead)`;
}
const STATES = `SELECT c.sink, c.position, c.written, c.breaker, c.error_code, c.error_at,
    coalesce(c.held_until > now(), false) AS running,
    (SELECT count(*) FROM sink_rejects r WHERE r.sink = c.sink) AS rejected,
    (SELECT coalesce(sum(d.count), 0)::bigint FROM sink_rejects_discarded d WHERE d.sink = c.sink)
      AS discarded,
    ${lagOf("c")} AS lag,
    n.sink IS NOT NULL AS rebuilding, CASE WHEN n.sink IS NOT NULL THEN ${lagOf("n")} END AS next_lag,
    coalesce((SELECT extract(epoch FROM now() - e.received_at)::float8 FROM event_log e
      WHERE e.position > c.position ORDER BY e.position LIMIT 1), 0) AS lag_s
  FROM sink_cursors c LEFT JOIN sink_cursors n ON n.sink = c.sink || '.next'
  WHERE c.sink NOT LIKE '%.next' ORDER BY c.sink`;
const KNOWN = "SELECT sink FROM sink_cursors WHERE sink = $1 AND sink NOT LIKE '%.next'";
const REJECTS = `SELECT position, log, seq, reason, at FROM sink_rejects
  WHERE sink = $1 AND position > $2 ORDER BY position LIMIT $3`;
const REPLAY = `UPDATE sink_rejects SET again = true
  WHERE sink = $1 AND ($2::bigint IS NULL OR position = $2) RETURNING position`;
const DROP = `DELETE FROM sink_rejects
  WHERE sink = $1 AND ($2::bigint IS NULL OR position = $2) RETURNING position`;
const RESET = "UPDATE sink_cursors SET reset_asked = true, incomplete = $2 WHERE sink = $1";
const FORGET = `DELETE FROM sink_cursors WHERE sink IN ($1, $1 || '.next')
  AND NOT EXISTS (SELECT FROM sink_cursors WHERE sink = $1 AND held_until > now()) RETURNING sink`;

const number = z.bigint().transform(Number);
const stateRows = z.array(
  z
    .object({
      sink: z.string(),
      position: z.bigint(),
      written: z.bigint(),
      breaker: z.enum(["closed", "open", "half-open"]),
      error_code: z.string().nullable(),
      error_at: z.date().nullable(),
      running: z.boolean(),
      rejected: number,
      discarded: number,
      lag: number,
      lag_s: z.number(),
      rebuilding: z.boolean(),
      next_lag: number.nullable(),
    })
    .transform(
      ({ sink, error_code, error_at, lag, lag_s, rebuilding, next_lag, ...row }): SinkState => ({
        ...row,
        name: sink,
        errorCode: error_code,
        errorAt: error_at,
        lagEntries: lag,
        lagS: lag_s,
        rebuild: rebuilding ? { lagEntries: next_lag ?? 0, errorCode: error_code } : null,
      }),
    ),
);
const rejectRows = z.array(
  z.object({
    position: z.bigint(),
    log: z.string(),
    seq: number,
    reason: z.string(),
    at: z.date(),
  }),
);

/** Which sinks are held up, and by what; null when none is. */
export async function sinksProblem({
  states,
}: Pick<SinkControl, "states">): Promise<string | null> {
  const held = (await states()).filter(({ errorCode }) => errorCode !== null);
  if (held.length === 0) return null;
  const names = held.map(({ name, errorCode }) => `${name} (${errorCode})`);
  return `held up: ${names.join(", ")}; see porchlight-cloud sinks list`;
}

export function createSinkControl(database: Database): SinkControl {
  const known = async (sink: string): Promise<void> => {
    if ((await database.query(KNOWN, [sink])).length > 0) return;
    throw new PorchlightError("sink.unknown", `no sink ${JSON.stringify(sink)} has run here`, {
      exitCode: EXIT.notFound,
      hint: "see which have: porchlight-cloud sinks list",
    });
  };
  const change = async (statement: string, sink: string, position?: bigint): Promise<number> => {
    await known(sink);
    return (await database.query(statement, [sink, position ?? null])).length;
  };
  return {
    states: async () => stateRows.parse(await database.query(STATES)),
    async rejects(sink, after, limit) {
      await known(sink);
      return rejectRows.parse(await database.query(REJECTS, [sink, after, limit]));
    },
    replayRejects: (sink, position) => change(REPLAY, sink, position),
    dropRejects: (sink, position) => change(DROP, sink, position),
    async reset(sink, { incomplete = false } = {}) {
      await known(sink);
      await database.query(RESET, [sink, incomplete]);
    },
    async forget(sink) {
      await known(sink);
      if ((await database.query(FORGET, [sink])).length > 0) return;
      throw new PorchlightError("sink.running", `the sink ${sink} is running`, {
        hint: "take it out of the configuration and restart first: porchlight-cloud sinks list shows which run",
      });
    },
  };
}
