/** The tables of the read models. What a device names is its own: keys begin with the device. */

/** Changes with what the tables or the projection mean: another version is built and swapped. */
export const READ_MODELS_VERSION = 3;

/**
 * Several types of entries write a row, each its own columns: those may be null.
 * Each `…_position` is that of the entry which the columns beside it come from: a later one wins.
 * A visit is listed by when it began, or by the first that is known of it: `visits.ts` asks so, too.
 */
export function createTables(schema: string): string {
  const began = "(coalesce(started_at, decided_at, ended_at))";
  return `CREATE TABLE ${schema}.devices (
  device uuid PRIMARY KEY, first_seen timestamptz, last_seen timestamptz,
  log uuid, seq bigint, hash text, last_at timestamptz, clock text, last_position bigint,
  version text, boot text, started_position bigint,
  pack text, pack_position bigint
);
CREATE TABLE ${schema}.anomalies (
  position bigint PRIMARY KEY, device uuid NOT NULL, type text NOT NULL, kind text,
  at timestamptz NOT NULL, entries bigint
);
CREATE INDEX ON ${schema}.anomalies (device, position);
CREATE TABLE ${schema}.people (
  device uuid, subject uuid, enrolled_at timestamptz,
  enrolled_position bigint,
  profile text, profile_log uuid, profile_seq bigint, profile_type text, profile_position bigint,
  erased_at timestamptz, erased_reason text, erased_position bigint,
  PRIMARY KEY (device, subject)
);
CREATE TABLE ${schema}.templates (
  device uuid, template uuid, subject uuid NOT NULL, pack text,
  dimension integer, quality float8, source text, added_at timestamptz, added_position bigint,
  removed_at timestamptz, removed_position bigint,
  PRIMARY KEY (device, template)
);
CREATE INDEX ON ${schema}.templates (device, subject);
CREATE TABLE ${schema}.visits (
  device uuid, visit uuid,
  camera text, clock text, started_at timestamptz, received_at timestamptz, delay_ms bigint,
  started_position bigint,
  revision integer, outcome text, person uuid, score float8, margin float8, pack text,
  decided_at timestamptz, decided_position bigint,
  ended_at timestamptz, end_outcome text, reason text, duration_ms bigint, frames bigint,
  ended_position bigint,
  PRIMARY KEY (device, visit)
);
CREATE INDEX ON ${schema}.visits (${began} DESC);
CREATE INDEX ON ${schema}.visits (device, ${began} DESC);
CREATE INDEX ON ${schema}.visits (device, person) WHERE person IS NOT NULL;
CREATE TABLE ${schema}.links (
  device uuid, person uuid, visit uuid, PRIMARY KEY (device, person, visit)
);
CREATE INDEX ON ${schema}.links (device, visit);
CREATE TABLE ${schema}.media (
  device uuid, media uuid, subject uuid, visit uuid, kind text NOT NULL,
  sha256 text NOT NULL, bytes bigint NOT NULL, width_px integer, height_px integer,
  log uuid NOT NULL, seq bigint NOT NULL, captured_at timestamptz NOT NULL,
  captured_position bigint NOT NULL, erased_at timestamptz,
  PRIMARY KEY (device, media)
);
CREATE INDEX ON ${schema}.media (captured_at DESC);
CREATE INDEX ON ${schema}.media (device, captured_at DESC);
CREATE INDEX ON ${schema}.media (device, visit);
CREATE INDEX ON ${schema}.media (device, subject);
CREATE TABLE ${schema}.audit (
  position bigint PRIMARY KEY, log uuid NOT NULL, seq bigint NOT NULL, device uuid NOT NULL,
  type text NOT NULL, actor text NOT NULL, subject uuid, at timestamptz NOT NULL,
  received_at timestamptz NOT NULL
);
CREATE INDEX ON ${schema}.audit (subject, position) WHERE subject IS NOT NULL;
CREATE INDEX ON ${schema}.audit (device, position);`;
}
