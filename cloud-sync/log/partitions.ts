/** Months of event_log: each has a partition, and is there before its first entry. */
import type { Connection } from "../postgres/database.ts";

/** An SQL condition: the month of `moment` (timestamptz) and the one after it have partitions. */
export function monthsReady(moment: string): string {
  const ready = (months: number): string => {
    const month = `${moment} AT TIME ZONE 'UTC' + interval '${months} month'`;
    return `to_regclass(to_char(${month}, '"event_log_"YYYY_MM')) IS NOT NULL`;
  };
  return `${ready(0)} AND ${ready(1)}`;
}

/**
 * Makes the partitions of the month in which something is received (µs since 1970) and of the one
 * after it, so that nobody waits for a table at midnight of the first. Called under the lock of the
 * append path: nobody else makes the same one.
 */
export async function makePartitions(connection: Connection, receivedUs: bigint): Promise<void> {
  const at = new Date(Number(receivedUs / 1_000n));
  for (const later of [0, 1]) await connection.query(makePartition(monthOf(at, later)));
}

/** The statement that makes the partition of a month ("2026-11", or a day of it), if need be. */
export function makePartition(month: string): string {
  const [from, to] = [monthOf(startOfMonth(month), 0), monthOf(startOfMonth(month), 1)];
  return `CREATE TABLE IF NOT EXISTS ${partitionOf(month)}
    PARTITION OF event_log FOR VALUES FROM ('${from} 00:00:00Z') TO ('${to} 00:00:00Z')`;
}

/** The table of a month. */
export function partitionOf(month: string): string {
  return `event_log_${month.slice(0, 7).replace("-", "_")}`;
}

/** When a month begins, or the one `later` months on. */
export function startOfMonth(month: string, later = 0): Date {
  const [year = "", number = ""] = month.split("-");
  return new Date(Date.UTC(Number(year), Number(number) - 1 + later, 1));
}

/** The first day of the month `later` months on, in UTC: "2026-11-01". */
function monthOf(at: Date, later: number): string {
  const first = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + later, 1));
  return first.toISOString().slice(0, 10);
}
