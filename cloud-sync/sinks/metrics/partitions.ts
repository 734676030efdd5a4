/** Tables partitioned by time: a partition is made for what comes, and dropped as a whole. */
import { z } from "zod";
import { invariant } from "../../../shared/core/errors.ts";
import type { Connection } from "../../postgres/database.ts";

export type PartitionSpan = "week" | "month" | "year";

export interface PartitionedTable {
  /** With its schema. */
  readonly table: string;
  readonly span: PartitionSpan;
}

const nameRows = z.array(z.object({ name: z.string() }));
const MISSING = `SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL`;
const PARTITIONS = `SELECT inhrelid::regclass::text AS name FROM pg_inherits
  WHERE inhparent = $1::regclass ORDER BY 1`;

/** Makes what these moments (ms since 1970) need. One instance at a time does it. */
export async function makeTimePartitions(
  connection: Connection,
  { table, span }: PartitionedTable,
  moments: readonly number[],
): Promise<void> {
  const starts = new Map(
    moments.map((at) => startOf(span, at)).map((at) => [nameOf(table, at), at]),
  );
  const missing = nameRows.parse(await connection.query(MISSING, [[...starts.keys()]]));
  for (const { name } of missing) {
    const from = starts.get(name);
    invariant(from !== undefined, "asked for and missing");
    const to = startOf(span, from, 1);
    const bounds = `FROM ('${isoOf(from)}') TO ('${isoOf(to)}')`;
    await connection.query(`CREATE TABLE ${name} PARTITION OF ${table} FOR VALUES ${bounds}`);
  }
}

/** Drops the partitions in which everything is older than a moment. */
export async function dropTimePartitions(
  connection: Connection,
  { table, span }: PartitionedTable,
  before: number,
): Promise<void> {
  for (const { name } of nameRows.parse(await connection.query(PARTITIONS, [table]))) {
    const [, day = ""] = /_(\d{8})$/.exec(name) ?? [];
    const from = Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
    invariant(!Number.isNaN(from), "a partition is named by its first day");
    if (startOf(span, from, 1) <= before) await connection.query(`DROP TABLE ${name}`);
  }
}

function nameOf(table: string, start: number): string {
  return `${table}_${isoOf(start).slice(0, 10).replaceAll("-", "")}`;
}

function isoOf(at: number): string {
  return new Date(at).toISOString();
}

/** The beginning of the week (Monday), month or year of a moment, or of a later one; UTC. */
function startOf(span: PartitionSpan, at: number, later = 0): number {
  const date = new Date(at);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  switch (span) {
    case "week": {
      const sinceMonday = (date.getUTCDay() + 6) % 7;
      return Date.UTC(year, month, day - sinceMonday + 7 * later);
    }
    case "month":
      return Date.UTC(year, month + later, 1);
    case "year":
      return Date.UTC(year + later, 0, 1);
  }
}
