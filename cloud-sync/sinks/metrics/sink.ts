/**
 * Points in time in PostgreSQL, for a centre without InfluxDB: as they came, and taken together by
 * the minute and by the hour, each kept for its own time. Totals are written with the points: late
 * ones are added to what is there.
 */
import { z } from "zod";
import type { Clock } from "../../../shared/core/clock.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import type { Maintained, Projection } from "../projection.ts";
import { pendingOf } from "../support/bisect.ts";
import { decodeEntries } from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { type Gathered, gather, type RawPoint, type Series, type Total } from "./gather.ts";
import { dropTimePartitions, makeTimePartitions } from "./partitions.ts";
import { type Point, pointOf } from "./points.ts";
import {
  beginOf,
  coarsestTier,
  DAY_MS,
  type QueryMetrics,
  type Retention,
  type Tier,
  tierFor,
} from "./query.ts";
import {
  addHours,
  addMinutes,
  addSeries,
  copyRaw,
  createTables,
  METRICS_VERSION,
  QUERY,
  QUERY_BEFORE,
  SCHEMA,
  SPANS,
} from "./tables.ts";

export interface TimeSeriesOptions {
  readonly database: Pick<Database, "query">;
  readonly devicesOf: DevicesOf;
  readonly retention: Retention;
  readonly clock: Pick<Clock, "now">;
}

export interface TimeSeries {
  readonly projection: Projection & Maintained;
  readonly query: QueryMetrics;
}

const TIERS: readonly Tier[] = ["raw", "minute", "hour"];
const SERVED = `SELECT WHERE to_regclass('${SCHEMA}.raw') IS NOT NULL
  AND to_regclass('${SCHEMA}.series') IS NULL`;
const bucketRows = z.array(
  z.object({
    at: z.date(),
    count: z.bigint().transform(Number),
    mean: z.number(),
    min: z.number(),
    max: z.number(),
  }),
);

export function createTimeSeries(options: TimeSeriesOptions): TimeSeries {
  const { database, devicesOf, retention, clock } = options;
  const days = { raw: retention.rawDays, minute: retention.minuteDays, hour: retention.hourDays };
  const write = (connection: Connection, schema: string, points: readonly Point[]) =>
    writePoints(connection, schema, gather(points, retention, clock.now()));
  const projection: TimeSeries["projection"] = {
    name: "time-series",
    schema: SCHEMA,
    version: async () => METRICS_VERSION,
    tables: async (schema) => createTables(schema),
    prepare: async (batch) => pendingOf(await decodeEntries(batch, devicesOf, pointOf), write),
    async maintain(schema, fenced) {
      for (const tier of TIERS) {
        const table = { table: `${schema}.${tier}`, span: SPANS[tier] };
        await dropTimePartitions(fenced, table, clock.now() - days[tier] * DAY_MS);
      }
    },
  };
  return {
    projection,
    async query(query) {
      const tier = coarsestTier(query, tierFor(query, retention, clock.now()));
      const { measurement, field, device = null, to, everyMs } = query;
      const from = new Date(beginOf(tier, query.from.getTime()));
      const before = (await database.query(SERVED)).length > 0;
      const statement = (before ? QUERY_BEFORE : QUERY)[tier];
      const values = [measurement, field, device, from, to, everyMs];
      return bucketRows.parse(await database.query(statement, values));
    },
  };
}

async function writePoints(
  connection: Connection,
  schema: string,
  { series, raw, rawSince, minute, hour }: Gathered,
): Promise<void> {
  if (hour.length === 0) return;
  const singles = minute.map(({ first }) => first).filter(({ at }) => at >= rawSince);
  const moments = { raw: [...raw, ...singles], minute, hour };
  await makeTimePartitions(
    connection,
    TIERS.map((tier) => ({
      table: `${schema}.${tier}`,
      span: SPANS[tier],
      moments: moments[tier].map(({ at }) => at),
    })),
  );
  await connection.query(addSeries(schema), seriesColumns(series));
  await connection.query(addHours(schema), totalColumns(hour));
  const pushed = minute.length === 0 ? [] : await addAll(connection, schema, minute);
  const points = [...raw, ...pushed.filter(({ at }) => at >= rawSince)];
  if (points.length === 0) return;
  const lines = points.map(
    ({ series: id, at, figures }) => `${id}\t${new Date(at).toISOString()}\t${arrayOf(figures)}\n`,
  );
  await connection.copyIn(copyRaw(schema), Buffer.from(lines.join("")));
}

const minuteRows = z.array(z.object({ series: z.bigint(), at: z.date() }));

/** Adds totals of minutes; the first points of those that had one already. */
async function addAll(
  connection: Connection,
  schema: string,
  minutes: readonly Total[],
): Promise<readonly RawPoint[]> {
  const merged = minuteRows.parse(
    await connection.query(addMinutes(schema), [
      ...totalColumns(minutes),
      minutes.map(({ at, first }) => first.at - at),
      minutes.map(({ count, first }) => (count === 1 ? null : arrayOf(first.figures))),
    ]),
  );
  if (merged.length === 0) return [];
  const there = new Set(merged.map(({ series, at }) => `${series} ${at.getTime()}`));
  return minutes.flatMap(({ series, at, first }) => (there.has(`${series} ${at}`) ? [first] : []));
}

function seriesColumns(series: readonly Series[]) {
  return [
    series.map(({ id }) => id),
    series.map(({ measurement }) => measurement),
    series.map(({ device }) => device),
    series.map(({ tags }) => JSON.stringify(tags)),
    series.map(({ fields }) => JSON.stringify(fields)),
  ];
}

function totalColumns(totals: readonly Total[]) {
  return [
    totals.map(({ series }) => series),
    totals.map(({ at }) => new Date(at)),
    totals.map(({ count }) => count),
    totals.map(({ sums }) => arrayOf(sums)),
    totals.map(({ count, mins }) => (count === 1 ? null : arrayOf(mins))),
    totals.map(({ count, maxs }) => (count === 1 ? null : arrayOf(maxs))),
  ];
}

function arrayOf(figures: readonly number[]): string {
  return `{${figures.join(",")}}`;
}
