/** Months of event_log: each has a partition, and is there before its first entry. */
import type { Connection } from "../postgres/database.ts";

/** An SQL condition: the month after `moment` (timestamptz) has a partition. */
export function nextMonthReady(moment: string): string {
  const name = `to_char(${moment} AT TIME ZONE 'UTC' + interval '1 month', '"event_log_"YYYY_MM')`;
  return `to_regclass(${name}) IS NOT NULL`;
}

/**
 * Makes the partitions of the month in which something is received (µs since 1970) and of the one
 * after it, so that nobody waits for a table at midnight of the first. Called under the lock of the
 * append path: nobody else makes the same one.
 */
export async function makePartitions(connection: Connection, receivedUs: bigint): Promise<void> {
  const at = new Date(Number(receivedUs / 1_000n));
  for (const later of [0, 1]) {
    const [from, to] = [monthOf(at, later), monthOf(at, later + 1)];
    await connection.query(
      `CREATE TABLE IF NOT EXISTS event_log_${from.slice(0, 7).replace("-", "_")}
       PARTITION OF event_log FOR VALUES FROM ('${from} 00:00:00Z') TO ('${to} 00:00:00Z')`,
    );
  }
}

/** The first day of the month `later` months on, in UTC: "2026-11-01". */
function monthOf(at: Date, later: number): string {
  const first = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + later, 1));
  return first.toISOString().slice(0, 10);
}
