/** Statements that write rows of the read models, and what erasing takes away. */

/** A row on its way: what JSON can say. Positions and sizes are text, as they may not fit a double. */
export type Row = Readonly<Record<string, string | number | boolean | null>>;

type ColumnType = "uuid" | "text" | "timestamptz" | "bigint" | "integer" | "float8";
type Columns = Readonly<Record<string, ColumnType>>;

/** Columns that come from one type of entry; `guard` is the position of theirs. */
export interface Part {
  readonly table: TableName;
  readonly guard: string;
  readonly columns: Columns;
}

interface Table {
  readonly key: Columns;
  /** Only ever written once: what is there stays. */
  readonly once?: Columns;
  /** Columns that are not written any more once the person was erased. */
  readonly sealed?: readonly string[];
}

const id = { device: "uuid" } as const;
const place = { log: "uuid", seq: "bigint" } as const;

/** In the order in which they are written. */
export const TABLES = {
  devices: { key: id, once: { first_seen: "timestamptz" } },
  anomalies: { key: { position: "bigint" } },
  people: { key: { ...id, subject: "uuid" }, sealed: ["profile"] },
  templates: { key: { ...id, template: "uuid" }, once: { subject: "uuid" } },
  visits: { key: { ...id, visit: "uuid" } },
  links: { key: { ...id, person: "uuid", visit: "uuid" } },
  media: { key: { ...id, media: "uuid" } },
} as const satisfies Readonly<Record<string, Table>>;
export type TableName = keyof typeof TABLES;

export const PARTS = {
  device: {
    table: "devices",
    guard: "last_position",
    columns: {
      last_seen: "timestamptz",
      ...place,
      hash: "text",
      last_at: "timestamptz",
      clock: "text",
    },
  },
  started: {
    table: "devices",
    guard: "started_position",
    columns: { version: "text", boot: "text" },
  },
  pack: { table: "devices", guard: "pack_position", columns: { pack: "text" } },
  anomaly: {
    table: "anomalies",
    guard: "position",
    columns: { device: "uuid", type: "text", kind: "text", at: "timestamptz", entries: "bigint" },
  },
  enrolled: {
    table: "people",
    guard: "enrolled_position",
    columns: { enrolled_at: "timestamptz" },
  },
  profile: {
    table: "people",
    guard: "profile_position",
    columns: {
      profile: "text",
      profile_log: "uuid",
      profile_seq: "bigint",
      profile_type: "text",
    },
  },
  erased: {
    table: "people",
    guard: "erased_position",
    columns: { erased_at: "timestamptz", erased_reason: "text" },
  },
  template: {
    table: "templates",
    guard: "added_position",
    columns: {
      pack: "text",
      dimension: "integer",
      quality: "float8",
      source: "text",
      added_at: "timestamptz",
    },
  },
  templateRemoved: {
    table: "templates",
    guard: "removed_position",
    columns: { removed_at: "timestamptz" },
  },
  visitStarted: {
    table: "visits",
    guard: "started_position",
    columns: {
      camera: "text",
      clock: "text",
      started_at: "timestamptz",
      received_at: "timestamptz",
      delay_ms: "bigint",
    },
  },
  visitDecided: {
    table: "visits",
    guard: "decided_position",
    columns: {
      revision: "integer",
      outcome: "text",
      person: "uuid",
      score: "float8",
      margin: "float8",
      pack: "text",
      decided_at: "timestamptz",
    },
  },
  visitEnded: {
    table: "visits",
    guard: "ended_position",
    columns: {
      ended_at: "timestamptz",
      end_outcome: "text",
      reason: "text",
      duration_ms: "bigint",
      frames: "bigint",
    },
  },
  link: { table: "links", guard: "visit", columns: {} },
  media: {
    table: "media",
    guard: "captured_position",
    columns: {
      subject: "uuid",
      visit: "uuid",
      kind: "text",
      sha256: "text",
      bytes: "bigint",
      width_px: "integer",
      height_px: "integer",
      ...place,
      captured_at: "timestamptz",
    },
  },
} as const satisfies Readonly<Record<string, Part>>;
export type PartName = keyof typeof PARTS;

function partsOf(name: TableName): readonly Part[] {
  return Object.values<Part>(PARTS).filter(({ table }) => table === name);
}

/**
 * Writes rows ($1, a JSON array), each key once: every part of a row that is given and is later than
 * the one that is there.
 */
export function upsert(schema: string, name: TableName): string {
  const table: Table = TABLES[name];
  const { key, once = {}, sealed = [] } = table;
  const parts = partsOf(name).filter(({ guard }) => key[guard] === undefined);
  const guards = Object.fromEntries(parts.map(({ guard }) => [guard, "bigint"]));
  const all = partsOf(name).map(({ columns }) => columns);
  const columns: Columns = Object.assign({}, key, once, ...all, guards);
  const changes = [
    ...Object.keys(once).map((column) => `${column} = coalesce(old.${column}, excluded.${column})`),
    ...parts.flatMap((part) => {
      const later = `excluded.${part.guard} > coalesce(old.${part.guard}, -1)`;
      const change = (column: string): string => {
        const erased = sealed.includes(column)
          ? "WHEN old.erased_position IS NOT NULL THEN NULL "
          : "";
        return `${column} = CASE ${erased}WHEN ${later} THEN excluded.${column} ELSE old.${column} END`;
      };
      return [...Object.keys(part.columns), part.guard].map(change);
    }),
  ];
  const names = Object.keys(columns).join(", ");
  const typed = Object.entries(columns).map(([column, type]) => `${column} ${type}`);
  return `INSERT INTO ${schema}.${name} AS old (${names})
    SELECT ${names} FROM json_to_recordset($1::json) AS row (${typed.join(", ")})
    ON CONFLICT (${Object.keys(key).join(", ")}) DO
    ${changes.length === 0 ? "NOTHING" : `UPDATE SET ${changes.join(", ")}`}`;
}

/** Rows of the audit trail are only ever added: as text (PostgreSQL manual, COPY, Text Format). */
export function copyAudit(schema: string): string {
  return `COPY ${schema}.audit (position, log, seq, device, type, actor, subject, at, received_at)
    FROM STDIN`;
}

/**
 * What erasing takes away of these devices' ($1) subjects ($2), people or visits, also where an
 * entry comes a second time: a visit that is linked to somebody who is erased goes as well.
 */
export function eraseStatements(schema: string): readonly string[] {
  const gone = `WITH touched AS (
      SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS row (device, subject)),
    gone AS (
      SELECT device, subject, erased_at FROM ${schema}.people JOIN touched USING (device, subject)
      WHERE erased_position IS NOT NULL
      UNION ALL
      SELECT links.device, links.visit, people.erased_at FROM ${schema}.people
      JOIN ${schema}.links ON links.device = people.device AND links.person = people.subject
      WHERE erased_position IS NOT NULL AND EXISTS (SELECT FROM touched
        WHERE touched.device = links.device AND touched.subject IN (links.person, links.visit)))`;
  return [
    `${gone} UPDATE ${schema}.people SET profile = NULL FROM gone
     WHERE people.device = gone.device AND people.subject = gone.subject AND profile IS NOT NULL`,
    `${gone} DELETE FROM ${schema}.templates USING gone
     WHERE templates.device = gone.device AND templates.subject = gone.subject`,
    `${gone} UPDATE ${schema}.media SET erased_at = gone.erased_at FROM gone
     WHERE media.device = gone.device AND media.subject = gone.subject AND media.erased_at IS NULL`,
  ];
}
