/**
 * Tables of the time series. A point is one row with an array of its figures; what they are called,
 * and whose they are, stands once in `series`.
 *
 *     series   id | measurement | device | tags | fields: names of the figures, in order
 *     minute   series | at | count | first_ms | sums | mins | maxs | first    a partition a month
 *     raw      series | at | figures                                          a week
 *     hour     series | at | count | sums | mins | maxs                       a year
 *
 * Devices sample once a minute, so most minutes are of one point: then their sums are its figures,
 * first_ms is its time within the minute, and mins, maxs and first are null. The first point of a
 * minute is in that row alone, the others are in raw. A series without a device has the hours of all
 * devices together.
 */
import type { PartitionSpan } from "./partitions.ts";
import type { Tier } from "./query.ts";

/** Change it with the tables: another version is built and swapped. */
export const METRICS_VERSION = 2;
export const SCHEMA = "porchlight_metrics";
/** Dropped as a whole, so the shorter the time, the shorter the partition. */
export const SPANS: Readonly<Record<Tier, PartitionSpan>> = {
  raw: "week",
  minute: "month",
  hour: "year",
};

export function createTables(schema: string): string {
  const total = "sums float8[] NOT NULL, mins float8[], maxs float8[]";
  const key = "series bigint NOT NULL, at timestamptz NOT NULL";
  return `CREATE TABLE ${schema}.series (
  id bigint PRIMARY KEY, measurement text NOT NULL, device uuid, tags jsonb NOT NULL,
  fields text[] NOT NULL
);
CREATE INDEX ON ${schema}.series (measurement, device);
CREATE TABLE ${schema}.raw (
  series bigint NOT NULL, at timestamptz NOT NULL, figures float8[] NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX ON ${schema}.raw USING brin (at) WITH (pages_per_range = 16);
CREATE TABLE ${schema}.minute (
  ${key}, count integer NOT NULL, first_ms integer NOT NULL, ${total}, first float8[],
  PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
CREATE TABLE ${schema}.hour (
  ${key}, count bigint NOT NULL, ${total}, PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);`;
}

export function copyRaw(schema: string): string {
  return `COPY ${schema}.raw (series, at, figures) FROM STDIN`;
}

export function addSeries(schema: string): string {
  return `INSERT INTO ${schema}.series (id, measurement, device, tags, fields)
    SELECT id, measurement, device, tags::jsonb, ARRAY(SELECT json_array_elements_text(fields::json))
    FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::text[], $5::text[])
      AS row (id, measurement, device, tags, fields)
    ON CONFLICT (id) DO NOTHING`;
}

/** Figure by figure. */
function merge(how: string, column: "sums" | "mins" | "maxs"): string {
  const of = (row: string): string =>
    column === "sums" ? `${row}.sums` : `coalesce(${row}.${column}, ${row}.sums)`;
  return `${column} = (SELECT array_agg(${how} ORDER BY i)
    FROM unnest(${of("old")}, ${of("excluded")}) WITH ORDINALITY AS figure (a, b, i))`;
}

const MERGED = `count = old.count + excluded.count, ${merge("a + b", "sums")},
  ${merge("least(a, b)", "mins")}, ${merge("greatest(a, b)", "maxs")}`;
const GIVEN = `unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::text[], $5::text[], $6::text[]`;
const TOTAL = "series, at, count, sums, mins, maxs";
const TOTAL_GIVEN = "series, at, count, sums::float8[], mins::float8[], maxs::float8[]";

/** Adds totals of hours to those that are there. */
export function addHours(schema: string): string {
  return `INSERT INTO ${schema}.hour AS old (${TOTAL})
    SELECT ${TOTAL_GIVEN} FROM ${GIVEN}) AS given (${TOTAL})
    ON CONFLICT (series, at) DO UPDATE SET ${MERGED}`;
}

/**
 * The same of minutes, whose first points are `first_ms` ($7) after their beginning and have figures
 * of their own ($8) where there are several. Answers with the minutes that were there: their first
 * point was another.
 */
export function addMinutes(schema: string): string {
  return `WITH given AS (
      SELECT * FROM ${GIVEN}, $7::integer[], $8::text[]) AS given (${TOTAL}, first_ms, first)),
    written AS (
      INSERT INTO ${schema}.minute AS old (${TOTAL}, first_ms, first)
      SELECT ${TOTAL_GIVEN}, first_ms, first::float8[] FROM given
      ON CONFLICT (series, at) DO UPDATE SET ${MERGED}, first = coalesce(old.first, old.sums)
      RETURNING series, at, count)
    SELECT series, at FROM written JOIN given USING (series, at) WHERE written.count > given.count`;
}

const BUCKET = "date_bin($6::bigint * interval '1 millisecond', point.at, 'epoch') AS at";
/** Of one device ($3), or of all of them. */
const SERIES = `SELECT id, array_position(fields, $2) AS i FROM ${SCHEMA}.series
  WHERE measurement = $1 AND $2 = ANY (fields)`;
const WITHIN = "point.at >= $4 AND point.at < $5";
const ONE = "($3::uuid IS NULL AND device IS NOT NULL OR device = $3)";

export const QUERY: Readonly<Record<Tier, string>> = {
  raw: `SELECT ${BUCKET}, count(*) AS count, avg(figures[i]) AS mean, min(figures[i]),
      max(figures[i])
    FROM (${SERIES} AND ${ONE}) AS series JOIN LATERAL (
      SELECT at, figures FROM ${SCHEMA}.raw WHERE raw.series = id AND at >= $4 AND at < $5
      UNION ALL SELECT at + first_ms * interval '1 millisecond', coalesce(first, sums)
      FROM ${SCHEMA}.minute
      WHERE minute.series = id AND at >= date_bin('1 minute', $4, 'epoch') AND at < $5
    ) AS point ON true
    WHERE ${WITHIN} GROUP BY 1 ORDER BY 1`,
  minute: queryTotals("minute", ONE),
  hour: queryTotals("hour", "device IS NOT DISTINCT FROM $3::uuid"),
};

function queryTotals(tier: "minute" | "hour", whose: string): string {
  return `SELECT ${BUCKET}, sum(count)::bigint AS count,
      sum(sums[i]) / sum(count)::float8 AS mean, min((coalesce(mins, sums))[i]),
      max((coalesce(maxs, sums))[i])
    FROM (${SERIES} AND ${whose}) AS series JOIN ${SCHEMA}.${tier} AS point ON point.series = id
    WHERE ${WITHIN} GROUP BY 1 ORDER BY 1`;
}

/**
 * Version 1 as it is served while this one is built: a row for each figure and minute, figures of
 * raw points in an object.
 */
export const QUERY_BEFORE: Readonly<Record<Tier, string>> = {
  raw: `SELECT ${BUCKET}, count(*) AS count, avg(value) AS mean, min(value), max(value)
    FROM (SELECT at, (fields->>$2)::float8 AS value FROM ${SCHEMA}.raw
      WHERE measurement = $1 AND ($3::uuid IS NULL OR device = $3)) AS point
    WHERE ${WITHIN} AND value IS NOT NULL GROUP BY 1 ORDER BY 1`,
  minute: queryBefore("minute"),
  hour: queryBefore("hour"),
};

function queryBefore(tier: "minute" | "hour"): string {
  return `SELECT ${BUCKET}, sum(count)::bigint AS count, sum(sum) / sum(count)::float8 AS mean,
      min(min), max(max)
    FROM ${SCHEMA}.${tier} AS point WHERE measurement = $1 AND field = $2
      AND ($3::uuid IS NULL OR device = $3) AND ${WITHIN} GROUP BY 1 ORDER BY 1`;
}
