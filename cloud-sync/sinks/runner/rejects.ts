/** Rejected entries of a sink: the tables of 0004-sinks and 0007-sink-builds. */
import type { Connection } from "../../postgres/database.ts";
import type { RejectedEntry } from "../sink.ts";

/**
 * Rejects of one device in one sink: so many are a fault of the device, not a few odd entries. What
 * is over it is counted and passed, so that no device stops a sink, and with it what others erase.
 */
export const REJECTS_PER_DEVICE_MAX = 1_000;

const ADD = `WITH given AS (
    SELECT given.*, logs.device FROM unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::text[])
      AS given (position, log, seq, reason) JOIN logs ON logs.log = given.log),
  again AS (
    UPDATE sink_rejects r SET reason = given.reason, at = now(), again = false FROM given
    WHERE r.sink = $1 AND r.position = given.position RETURNING r.position),
  fresh AS (
    SELECT *, row_number() OVER (PARTITION BY device ORDER BY position)
      + (SELECT count(*) FROM sink_rejects r WHERE r.sink = $1 AND r.device = given.device) AS number
    FROM given WHERE position NOT IN (SELECT position FROM again)),
  kept AS (
    INSERT INTO sink_rejects (sink, position, log, seq, reason, device)
    SELECT $1, position, log, seq, reason, device FROM fresh
    WHERE number <= ${REJECTS_PER_DEVICE_MAX})
  INSERT INTO sink_rejects_discarded AS old (sink, device, count)
  SELECT $1, device, count(*) FROM fresh WHERE number > ${REJECTS_PER_DEVICE_MAX} GROUP BY device
  ON CONFLICT (sink, device) DO UPDATE SET count = old.count + excluded.count`;
const REMOVE = "DELETE FROM sink_rejects WHERE sink = $1 AND position = ANY ($2::bigint[])";
const CLEAR = `WITH cleared AS (DELETE FROM sink_rejects WHERE sink = $1)
  DELETE FROM sink_rejects_discarded WHERE sink = $1`;
const TAKE_OVER = `WITH moved AS (UPDATE sink_rejects SET sink = $1 WHERE sink = $2)
  UPDATE sink_rejects_discarded SET sink = $1 WHERE sink = $2`;

export async function addRejects(
  connection: Connection,
  sink: string,
  rejected: readonly RejectedEntry[],
): Promise<void> {
  if (rejected.length === 0) return;
  await connection.query(ADD, [
    sink,
    rejected.map(({ position }) => position),
    rejected.map(({ log }) => log),
    rejected.map(({ seq }) => seq),
    rejected.map(({ reason }) => reason),
  ]);
}

export async function removeRejects(
  connection: Connection,
  sink: string,
  positions: readonly bigint[],
): Promise<void> {
  if (positions.length > 0) await connection.query(REMOVE, [sink, positions]);
}

export async function clearRejects(connection: Connection, sink: string): Promise<void> {
  await connection.query(CLEAR, [sink]);
}

/** The rejects of what was built become those of the sink. */
export async function takeOverRejects(
  connection: Connection,
  sink: string,
  from: string,
): Promise<void> {
  await clearRejects(connection, sink);
  await connection.query(TAKE_OVER, [sink, from]);
}
