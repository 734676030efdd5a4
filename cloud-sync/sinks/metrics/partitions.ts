/** Tables partitioned by time: a partition is made for what comes, and dropped as a whole. */
import { z } from "zod";
import { invariant } from "../../../shared/core/errors.ts";
import type { Connection } from "../../postgres/database.ts";
import type { Fenced } from "../projection.ts";

export type PartitionSpan = "week" | "month" | "year";

export interface PartitionedTable {
  /** With its schema. */
  readonly table: string;
  readonly span: PartitionSpan;
}

/** What goes into a table, ms since 1970. */
export interface Moments extends PartitionedTable {
  readonly moments: readonly number[];
}

const nameRows = z.array(z.object({ name: z.string() }));
const MISSING = `SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL`;
const PARTITIONS = `SELECT inhrelid::regclass::text AS name FROM pg_inherits
  WHERE inhparent = $1::regclass ORDER BY 1`;

/** Makes what these moments need. One instance at a time does it. */
export async function makeTimePartitions(
  connection: Connection,
  tables: readonly Moments[],
): Promise<void> {
  const wanted = new Map(
    tables.flatMap(({ table, span, moments }) =>
      [...new Set(moments.map((at) => startOf(span, at)))].map(
        (at) => [nameOf(table, at), partitionOf(table, span, at)] as const,
      ),
    ),
  );
  const missing = nameRows.parse(await connection.query(MISSING, [[...wanted.keys()]]));
  for (const { name } of missing) {
    const statement = wanted.get(name);
    invariant(statement !== undefined, "asked for and missing");
    await connection.query(statement);
  }
}

/**
 * Drops the partitions in which everything is older than a moment, each in a transaction of its
 * own: hundreds of them in one are more locks than a server has.
 */
export async function dropTimePartitions(
  fenced: Fenced,
  { table, span }: PartitionedTable,
  before: number,
): Promise<void> {
  const old: string[] = [];
  await fenced(async (connection) => {
    const found = nameRows.parse(await connection.query(PARTITIONS, [table]));
    old.push(...found.map(({ name }) => name).filter((name) => endOf(span, name) <= before));
    return [];
  });
  for (const name of old) {
    await fenced(async (connection) => {
      await connection.query(`DROP TABLE IF EXISTS ${name}`);
      return [];
    });
  }
}

function partitionOf(table: string, span: PartitionSpan, start: number): string {
  const bounds = `FROM ('${isoOf(start)}') TO ('${isoOf(startOf(span, start, 1))}')`;
  return `CREATE TABLE ${nameOf(table, start)} PARTITION OF ${table} FOR VALUES ${bounds}`;
}

/** When a partition ends, by its name. */
function endOf(span: PartitionSpan, name: string): number {
  const [, day = ""] = /_(\d{8})$/.exec(name) ?? [];
  const from = Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
  invariant(!Number.isNaN(from), "a partition is named by its first day");
  return startOf(span, from, 1);
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
