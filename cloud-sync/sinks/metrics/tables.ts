/**
 * Tables of the time series. A point is one row with an array of its figures; what they are called,
 * and whose they are, stands once in `series`.
 *
 *     series       id | measurement | device | tags | fields: names of the figures, in order
 *     raw          series | at | figures                      a partition a week
 *     minute       series | at | count | sums | mins | maxs   a month; of `hour`, a year
 *
 * Where a total is of one point, its sums are the figures, and mins and maxs are null. A series
 * without a device has the hours of all devices together.
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
  const total = `series bigint NOT NULL, at timestamptz NOT NULL, count bigint NOT NULL,
  sums float8[] NOT NULL, mins float8[], maxs float8[], PRIMARY KEY (series, at)`;
  return `CREATE TABLE ${schema}.series (
  id bigint PRIMARY KEY, measurement text NOT NULL, device uuid, tags jsonb NOT NULL,
  fields text[] NOT NULL
);
CREATE INDEX ON ${schema}.series (measurement, device);
CREATE TABLE ${schema}.raw (
  series bigint NOT NULL, at timestamptz NOT NULL, figures float8[] NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX ON ${schema}.raw USING brin (at) WITH (pages_per_range = 16);
CREATE TABLE ${schema}.minute (${total}) PARTITION BY RANGE (at);
CREATE TABLE ${schema}.hour (${total}) PARTITION BY RANGE (at);`;
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

/** Adds totals to those that are there: figure by figure. */
export function addTotals(schema: string, tier: "minute" | "hour"): string {
  const each = (merge: string, column: string): string => {
    const [old, fresh] =
      column === "sums"
        ? ["old.sums", "excluded.sums"]
        : [`coalesce(old.${column}, old.sums)`, `coalesce(excluded.${column}, excluded.sums)`];
    return `${column} = (SELECT array_agg(${merge} ORDER BY i)
      FROM unnest(${old}, ${fresh}) WITH ORDINALITY AS figure (a, b, i))`;
  };
  return `INSERT INTO ${schema}.${tier} AS old (series, at, count, sums, mins, maxs)
    SELECT series, at, count, sums::float8[], mins::float8[], maxs::float8[]
    FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::text[])
      AS row (series, at, count, sums, mins, maxs)
    ON CONFLICT (series, at) DO UPDATE SET count = old.count + excluded.count,
      ${each("a + b", "sums")}, ${each("least(a, b)", "mins")}, ${each("greatest(a, b)", "maxs")}`;
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
    FROM (${SERIES} AND ${ONE}) AS series JOIN ${SCHEMA}.raw AS point ON point.series = id
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
