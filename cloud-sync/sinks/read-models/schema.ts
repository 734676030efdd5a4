/** The tables of the read models, and the statements that write their rows. */

/** Changes with what the tables or the projection mean: another version is dropped and replayed. */
export const READ_MODELS_VERSION = 2;

/** A row on its way: what JSON can say. Positions and sizes are text, as they may not fit a double. */
export type Row = Readonly<Record<string, string | number | boolean | null>>;

/**
 * Several types of entries write a row, each its own columns: those may be null.
 * Each `…_position` is that of the entry which the columns beside it come from: a later one wins.
 */
export function createTables(schema: string): string {
  return `SELECT FROM porchlight_migrations LIMIT 1;
CREATE SCHEMA ${schema};
CREATE TABLE ${schema}.projection (version integer NOT NULL, position bigint NOT NULL);
INSERT INTO ${schema}.projection VALUES (${READ_MODELS_VERSION}, 0);
CREATE TABLE ${schema}.devices (
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
  subject uuid PRIMARY KEY, device uuid NOT NULL, enrolled_at timestamptz,
  enrolled_position bigint,
  profile text, profile_log uuid, profile_seq bigint, profile_type text, profile_position bigint,
  erased_at timestamptz, erased_reason text, erased_position bigint
);
CREATE TABLE ${schema}.templates (
  template uuid PRIMARY KEY, subject uuid NOT NULL, device uuid NOT NULL, pack text,
  dimension integer, quality float8, source text, added_at timestamptz, added_position bigint,
  removed_at timestamptz, removed_position bigint
);
CREATE INDEX ON ${schema}.templates (subject);
CREATE TABLE ${schema}.visits (
  visit uuid PRIMARY KEY, device uuid NOT NULL,
  camera text, clock text, started_at timestamptz, received_at timestamptz, delay_ms bigint,
  started_position bigint,
  revision integer, outcome text, person uuid, score float8, margin float8, pack text,
  decided_at timestamptz, decided_position bigint,
  ended_at timestamptz, end_outcome text, reason text, duration_ms bigint, frames bigint,
  ended_position bigint
);
CREATE INDEX ON ${schema}.visits (device, started_at);
CREATE INDEX ON ${schema}.visits (person, started_at) WHERE person IS NOT NULL;
CREATE TABLE ${schema}.media (
  media uuid PRIMARY KEY, device uuid NOT NULL, subject uuid, visit uuid, kind text NOT NULL,
  sha256 text NOT NULL, bytes bigint NOT NULL, width_px integer, height_px integer,
  log uuid NOT NULL, seq bigint NOT NULL, captured_at timestamptz NOT NULL,
  captured_position bigint NOT NULL, erased_at timestamptz
);
CREATE INDEX ON ${schema}.media (visit);
CREATE INDEX ON ${schema}.media (subject);
CREATE TABLE ${schema}.audit (
  position bigint PRIMARY KEY, log uuid NOT NULL, seq bigint NOT NULL, device uuid NOT NULL,
  type text NOT NULL, actor text NOT NULL, subject uuid, at timestamptz NOT NULL,
  received_at timestamptz NOT NULL
);
CREATE INDEX ON ${schema}.audit (subject, position);
CREATE INDEX ON ${schema}.audit (device, position);`;
}

/** Rows of one table that come from one type of entry. */
export interface Part {
  readonly table: string;
  readonly key: string;
  readonly columns: Readonly<Record<string, "uuid" | "text" | "timestamptz" | ColumnNumber>>;
  /** The column with the position: a row that holds a later one stays. */
  readonly guard: string;
  /** Only ever written once: what is there stays. */
  readonly once?: readonly string[];
  /** Columns that are not written any more once the person was erased. */
  readonly sealed?: readonly string[];
}

type ColumnNumber = "bigint" | "integer" | "float8";

const place = { log: "uuid", seq: "bigint" } as const;

/** In the order in which they are written. */
export const PARTS = {
  device: {
    table: "devices",
    key: "device",
    columns: {
      device: "uuid",
      first_seen: "timestamptz",
      last_seen: "timestamptz",
      ...place,
      hash: "text",
      last_at: "timestamptz",
      clock: "text",
      last_position: "bigint",
    },
    guard: "last_position",
    once: ["first_seen"],
  },
  started: {
    table: "devices",
    key: "device",
    columns: { device: "uuid", version: "text", boot: "text", started_position: "bigint" },
    guard: "started_position",
  },
  pack: {
    table: "devices",
    key: "device",
    columns: { device: "uuid", pack: "text", pack_position: "bigint" },
    guard: "pack_position",
  },
  anomaly: {
    table: "anomalies",
    key: "position",
    columns: {
      position: "bigint",
      device: "uuid",
      type: "text",
      kind: "text",
      at: "timestamptz",
      entries: "bigint",
    },
    guard: "position",
  },
  enrolled: {
    table: "people",
    key: "subject",
    columns: {
      subject: "uuid",
      device: "uuid",
      enrolled_at: "timestamptz",
      enrolled_position: "bigint",
    },
    guard: "enrolled_position",
  },
  profile: {
    table: "people",
    key: "subject",
    columns: {
      subject: "uuid",
      device: "uuid",
      profile: "text",
      profile_log: "uuid",
      profile_seq: "bigint",
      profile_type: "text",
      profile_position: "bigint",
    },
    guard: "profile_position",
    once: ["device"],
    sealed: ["profile"],
  },
  template: {
    table: "templates",
    key: "template",
    columns: {
      template: "uuid",
      subject: "uuid",
      device: "uuid",
      pack: "text",
      dimension: "integer",
      quality: "float8",
      source: "text",
      added_at: "timestamptz",
      added_position: "bigint",
    },
    guard: "added_position",
  },
  templateRemoved: {
    table: "templates",
    key: "template",
    columns: {
      template: "uuid",
      subject: "uuid",
      device: "uuid",
      removed_at: "timestamptz",
      removed_position: "bigint",
    },
    guard: "removed_position",
    once: ["subject", "device"],
  },
  visitStarted: {
    table: "visits",
    key: "visit",
    columns: {
      visit: "uuid",
      device: "uuid",
      camera: "text",
      clock: "text",
      started_at: "timestamptz",
      received_at: "timestamptz",
      delay_ms: "bigint",
      started_position: "bigint",
    },
    guard: "started_position",
  },
  visitDecided: {
    table: "visits",
    key: "visit",
    columns: {
      visit: "uuid",
      device: "uuid",
      revision: "integer",
      outcome: "text",
      person: "uuid",
      score: "float8",
      margin: "float8",
      pack: "text",
      decided_at: "timestamptz",
      decided_position: "bigint",
    },
    guard: "decided_position",
  },
  visitEnded: {
    table: "visits",
    key: "visit",
    columns: {
      visit: "uuid",
      device: "uuid",
      ended_at: "timestamptz",
      end_outcome: "text",
      reason: "text",
      duration_ms: "bigint",
      frames: "bigint",
      ended_position: "bigint",
    },
    guard: "ended_position",
  },
  media: {
    table: "media",
    key: "media",
    columns: {
      media: "uuid",
      device: "uuid",
      subject: "uuid",
      visit: "uuid",
      kind: "text",
      sha256: "text",
      bytes: "bigint",
      width_px: "integer",
      height_px: "integer",
      ...place,
      captured_at: "timestamptz",
      captured_position: "bigint",
    },
    guard: "captured_position",
  },
  erased: {
    table: "people",
    key: "subject",
    columns: {
      subject: "uuid",
      device: "uuid",
      erased_at: "timestamptz",
      erased_reason: "text",
      erased_position: "bigint",
    },
    guard: "erased_position",
    once: ["device"],
  },
  audit: {
    table: "audit",
    key: "position",
    columns: {
      position: "bigint",
      ...place,
      device: "uuid",
      type: "text",
      actor: "text",
      subject: "uuid",
      at: "timestamptz",
      received_at: "timestamptz",
    },
    guard: "position",
  },
} as const satisfies Readonly<Record<string, Part>>;

export type PartName = keyof typeof PARTS;

/** Writes rows ($1, a JSON array), each key once. A row with a later position stays as it is. */
export function upsert(schema: string, part: Part): string {
  const { table, key, columns, guard, once = [], sealed = [] } = part;
  const names = Object.keys(columns);
  const typed = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
  const value = (name: string): string =>
    sealed.includes(name)
      ? `CASE WHEN old.erased_position IS NULL THEN excluded.${name} END`
      : `excluded.${name}`;
  const changes = names
    .filter((name) => name !== key && !once.includes(name))
    .map((name) => `${name} = ${value(name)}`);
  const change =
    guard === key
      ? "NOTHING"
      : `UPDATE SET ${changes.join(", ")} WHERE old.${guard} IS NULL OR old.${guard} < excluded.${guard}`;
  return `INSERT INTO ${schema}.${table} AS old (${names.join(", ")})
    SELECT ${names.join(", ")} FROM json_to_recordset($1::json) AS row (${typed.join(", ")})
    ON CONFLICT (${key}) DO ${change}`;
}

/** What erasing takes away, of these subjects ($1), also where a batch came a second time. */
export function eraseStatements(schema: string): readonly string[] {
  const erased = `SELECT subject FROM ${schema}.people
    WHERE subject = ANY ($1::uuid[]) AND erased_position IS NOT NULL`;
  return [
    `UPDATE ${schema}.people SET profile = NULL WHERE subject IN (${erased})`,
    `DELETE FROM ${schema}.templates WHERE subject IN (${erased})`,
    `UPDATE ${schema}.media SET erased_at = people.erased_at FROM ${schema}.people
     WHERE media.subject = people.subject AND media.subject IN (${erased})`,
  ];
}
