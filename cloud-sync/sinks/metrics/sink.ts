/**
 * Points in time in PostgreSQL, for a centre without InfluxDB: as they came, and taken together by
 * the minute and by the hour, each kept for its own time.
 *
 * What comes in marks its device's hour, and marked hours are computed again from what came: late
 * or doubled points change nothing that is right. A total that would hold fewer points than the one
 * that is there was made of what is partly gone, and is not written.
 */
import { z } from "zod";
import type { Clock } from "../../../shared/core/clock.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import type { Maintained, Positioned, Resettable, Sink } from "../sink.ts";
import { refusalOf, writeIsolating } from "../support/bisect.ts";
import { decodeEntries, projectionOf } from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { dropTimePartitions, makeTimePartitions, type PartitionSpan } from "./partitions.ts";
import { type Point, pointOf } from "./points.ts";
import { DAY_MS, type QueryMetrics, type Retention, type Tier, tierFor } from "./query.ts";

export interface TimeSeriesOptions {
  readonly database: Database;
  readonly devicesOf: DevicesOf;
  readonly retention: Retention;
  readonly clock: Pick<Clock, "now">;
}

export interface TimeSeries {
  readonly sink: Sink & Positioned & Resettable & Maintained;
  readonly query: QueryMetrics;
}

/** Change it with the tables: another version is dropped and replayed. */
const VERSION = 1;
const SCHEMA = "porchlight_metrics";
/** Dropped as a whole, so the shorter the time, the shorter the partition. */
const SPANS: Readonly<Record<Tier, PartitionSpan>> = { raw: "week", minute: "month", hour: "year" };
/** Device-hours in one transaction: 60 samples of a dozen figures each are 36,000 values. */
const HOURS_AT_ONCE = 50;

const total = `measurement text NOT NULL, field text NOT NULL, device uuid NOT NULL,
  at timestamptz NOT NULL, count bigint NOT NULL, sum float8 NOT NULL, min float8 NOT NULL,
  max float8 NOT NULL, PRIMARY KEY (measurement, field, device, at)`;
const TABLES = `SELECT FROM porchlight_migrations LIMIT 1;
DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE;
CREATE SCHEMA ${SCHEMA};
CREATE TABLE ${SCHEMA}.projection (version integer NOT NULL, position bigint NOT NULL);
INSERT INTO ${SCHEMA}.projection VALUES (${VERSION}, 0);
CREATE TABLE ${SCHEMA}.raw (
  measurement text NOT NULL, device uuid NOT NULL, at timestamptz NOT NULL, tags jsonb NOT NULL,
  fields jsonb NOT NULL, log uuid NOT NULL, seq bigint NOT NULL, PRIMARY KEY (log, seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX ON ${SCHEMA}.raw (device, at);
CREATE INDEX ON ${SCHEMA}.raw (measurement, at);
CREATE TABLE ${SCHEMA}.minute (${total}) PARTITION BY RANGE (at);
CREATE TABLE ${SCHEMA}.hour (${total}) PARTITION BY RANGE (at);
CREATE TABLE ${SCHEMA}.marked (device uuid, hour timestamptz, PRIMARY KEY (device, hour));`;

/** "porchmet" as eight bytes: two instances may open at once. */
const LOCK = "SELECT pg_advisory_xact_lock(x'706f7263686d6574'::bigint)";
const TABLE_EXISTS = `SELECT WHERE to_regclass('${SCHEMA}.projection') IS NOT NULL`;
const SAME = `SELECT FROM ${SCHEMA}.projection WHERE version = ${VERSION}`;
const WRITE = `WITH points AS (SELECT * FROM json_to_recordset($1::json) AS point (measurement text,
    device uuid, at timestamptz, tags jsonb, fields jsonb, log uuid, seq bigint)),
  written AS (INSERT INTO ${SCHEMA}.raw SELECT * FROM points ON CONFLICT DO NOTHING)
  INSERT INTO ${SCHEMA}.marked
  SELECT DISTINCT device, date_bin('1 hour', at, 'epoch') FROM points ON CONFLICT DO NOTHING`;
const POSITION = `SELECT version, position FROM ${SCHEMA}.projection`;
const MOVE = `UPDATE ${SCHEMA}.projection SET position = greatest(position, $1)`;
const MARKED = `SELECT device, hour FROM ${SCHEMA}.marked ORDER BY hour LIMIT ${HOURS_AT_ONCE}
  FOR UPDATE`;
const UNMARK = `DELETE FROM ${SCHEMA}.marked USING unnest($1::uuid[], $2::timestamptz[]) AS due (device, hour)
  WHERE marked.device = due.device AND marked.hour = due.hour`;

function takeTogether(tier: "minute" | "hour"): string {
  return `INSERT INTO ${SCHEMA}.${tier} AS old
    SELECT measurement, key, raw.device, date_bin('1 ${tier}', at, 'epoch') AS bucket, count(*),
      sum(value::float8), min(value::float8), max(value::float8)
    FROM unnest($1::uuid[], $2::timestamptz[]) AS due (device, hour)
    JOIN ${SCHEMA}.raw ON raw.device = due.device AND at >= hour AND at < hour + interval '1 hour',
      jsonb_each_text(fields)
    GROUP BY measurement, key, raw.device, bucket
    ON CONFLICT (measurement, field, device, at) DO UPDATE
    SET count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max
    WHERE excluded.count >= old.count`;
}

const BUCKET = "date_bin($6::bigint * interval '1 millisecond', at, 'epoch') AS at";
const WHERE = `measurement = $1 AND ($3::uuid IS NULL OR device = $3) AND at >= $4 AND at < $5`;
const QUERY: Readonly<Record<Tier, string>> = {
  raw: `SELECT ${BUCKET}, count(*) AS count, avg(value) AS mean, min(value), max(value)
    FROM (SELECT at, (fields->>$2)::float8 AS value FROM ${SCHEMA}.raw WHERE ${WHERE}) AS point
    WHERE value IS NOT NULL GROUP BY 1 ORDER BY 1`,
  minute: queryTotals("minute"),
  hour: queryTotals("hour"),
};

function queryTotals(tier: "minute" | "hour"): string {
  return `SELECT ${BUCKET}, sum(count)::bigint AS count, sum(sum) / sum(count)::float8 AS mean,
      min(min), max(max)
    FROM ${SCHEMA}.${tier} AS total WHERE field = $2 AND ${WHERE} GROUP BY 1 ORDER BY 1`;
}

const markedRows = z.array(z.object({ device: z.string(), hour: z.date() }));
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
  const rebuild = async (connection: Connection): Promise<void> => {
    await connection.query(TABLES);
  };
  const sink: TimeSeries["sink"] = {
    name: "time-series",
    open: () =>
      database.transaction(async (connection) => {
        await connection.query(LOCK);
        const exists = (await connection.query(TABLE_EXISTS)).length > 0;
        if (!exists || (await connection.query(SAME)).length === 0) await rebuild(connection);
      }),
    async write(batch, signal) {
      const { items, rejected } = await decodeEntries(batch, devicesOf, pointOf);
      const insertPoints = (points: readonly Point[]): Promise<void> =>
        insert(database, points, signal);
      const refused = await writeIsolating(items, insertPoints, refusalOf);
      await database.query(MOVE, [batch.at(-1)?.position ?? 0n]);
      return { rejected: [...rejected, ...refused.rejected] };
    },
    position: async () => projectionOf(await database.query(POSITION)).position,
    reset: () => database.transaction(rebuild),
    async maintain(signal) {
      while (await downsample(database, signal));
      await database.transaction((connection) => prune(connection, retention, clock.now()), signal);
    },
    close: async () => undefined,
  };
  return {
    sink,
    async query(query) {
      const tier = tierFor(query, retention, clock.now());
      const { measurement, field, device = null, from, to, everyMs } = query;
      const values = [measurement, field, device, from, to, everyMs];
      return bucketRows.parse(await database.query(QUERY[tier], values));
    },
  };
}

async function insert(
  database: Database,
  points: readonly Point[],
  signal: AbortSignal,
): Promise<void> {
  const raw = { table: `${SCHEMA}.raw`, span: SPANS.raw };
  const rows = points.map(({ position, at, ...point }) => ({
    ...point,
    at: new Date(at).toISOString(),
  }));
  await database.transaction(async (connection) => {
    await makeTimePartitions(
      connection,
      raw,
      points.map(({ at }) => at),
    );
    signal.throwIfAborted();
    await connection.query(WRITE, [JSON.stringify(rows)]);
    signal.throwIfAborted();
  }, signal);
}

/** Takes marked hours together; false when there were none. */
function downsample(database: Database, signal: AbortSignal): Promise<boolean> {
  return database.transaction(async (connection) => {
    const due = markedRows.parse(await connection.query(MARKED));
    if (due.length === 0 || signal.aborted) return false;
    const hours = due.map(({ hour }) => hour.getTime());
    const values = [due.map(({ device }) => device), due.map(({ hour }) => hour)];
    for (const tier of ["minute", "hour"] as const) {
      const table = { table: `${SCHEMA}.${tier}`, span: SPANS[tier] };
      await makeTimePartitions(connection, table, hours);
      await connection.query(takeTogether(tier), values);
    }
    await connection.query(UNMARK, values);
    return true;
  }, signal);
}

/** Unmarked hours only: all others were aggregated before. */
async function prune(connection: Connection, retention: Retention, now: number): Promise<void> {
  const days = { raw: retention.rawDays, minute: retention.minuteDays, hour: retention.hourDays };
  for (const tier of ["raw", "minute", "hour"] as const) {
    const table = { table: `${SCHEMA}.${tier}`, span: SPANS[tier] };
    await dropTimePartitions(connection, table, now - days[tier] * DAY_MS);
  }
}
