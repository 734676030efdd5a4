/**
 * Read models in PostgreSQL: devices, people, visits, media and an audit trail, in a schema of
 * their own. They are not migrated: another version of them is built and swapped.
 */
import type { Connection } from "../../postgres/database.ts";
import type { Projection } from "../projection.ts";
import { pendingOf } from "../support/bisect.ts";
import { type Body, decodeEntries, type Projected } from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { auditLine, deviceRow, type RowOf, rowsOf } from "./rows.ts";
import { createTables, READ_MODELS_VERSION } from "./tables.ts";
import {
  copyAudit,
  eraseStatements,
  PARTS,
  type Row,
  TABLES,
  type TableName,
  upsert,
} from "./upsert.ts";

export interface ReadModelsOptions {
  readonly devicesOf: DevicesOf;
  /** Of the projection. */
  readonly version?: number;
}

interface Work extends Projected {
  readonly position: bigint;
  readonly clock: Body["clock"] | null;
  readonly rows: readonly RowOf[];
}

/** Parts after which something may be left of who was erased before. */
const TOUCHING = new Set<string>(["erased", "profile", "template", "link", "media"]);

export function createReadModels(options: ReadModelsOptions): Projection {
  const { devicesOf, version = READ_MODELS_VERSION } = options;
  return {
    name: "postgres",
    schema: "porchlight_read",
    version: async () => version,
    tables: async (schema) => createTables(schema),
    prepare: async (batch) => pendingOf(await decodeEntries(batch, devicesOf, workOf), writeRows),
  };
}

function workOf(projected: Projected, body: Body | null): Work {
  const { position } = projected.entry;
  return { ...projected, position, clock: body?.clock ?? null, rows: rowsOf(projected, body) };
}

async function writeRows(
  connection: Connection,
  schema: string,
  work: readonly Work[],
): Promise<void> {
  const rows = [...devicesIn(work), ...work.flatMap((each) => each.rows)];
  for (const [table, found] of gather(rows)) {
    await connection.query(upsert(schema, table), [JSON.stringify(found)]);
  }
  const audit = work.map(auditLine).filter((line) => line !== null);
  if (audit.length > 0) await connection.copyIn(copyAudit(schema), Buffer.from(audit.join("")));
  const touched = rows.filter(({ part }) => TOUCHING.has(part)).flatMap(subjectsOf);
  if (touched.length === 0) return;
  const columns = [touched.map(([device]) => device), touched.map(([, subject]) => subject)];
  for (const statement of eraseStatements(schema)) await connection.query(statement, columns);
}

/** A device's row is written once a batch: with when it was first seen, and what it said last. */
function devicesIn(work: readonly Work[]): readonly RowOf[] {
  const first = new Map<string, Work>();
  const last = new Map<string, Work>();
  for (const each of work) {
    if (!first.has(each.device)) first.set(each.device, each);
    last.set(each.device, each);
  }
  return [...last.values()].map((each) => {
    const { part, row } = deviceRow(each, each.clock);
    const seen = first.get(each.device) ?? each;
    return { part, row: { ...row, first_seen: seen.entry.receivedAt.toISOString() } };
  });
}

/** Rows by table, in its order: all parts of one key together, of several of a part the later. */
function gather(rows: readonly RowOf[]): readonly (readonly [TableName, readonly Row[]])[] {
  const tables = new Map<TableName, Map<string, Record<string, Row[string]>>>();
  for (const { part, row } of rows) {
    const { table } = PARTS[part];
    const { key, once }: { key: object; once?: object } = TABLES[table];
    const name = Object.keys(key)
      .map((column) => row[column])
      .join();
    const found = tables.get(table) ?? new Map<string, Record<string, Row[string]>>();
    tables.set(table, found);
    const kept = found.get(name) ?? {};
    const before = Object.keys(once ?? {}).map((column) => [column, kept[column]] as const);
    Object.assign(kept, row);
    for (const [column, value] of before) if (value !== undefined) kept[column] = value;
    found.set(name, kept);
  }
  return (Object.keys(TABLES) as TableName[]) // TABLES' own
    .flatMap((table) => {
      const found = tables.get(table);
      return found === undefined ? [] : [[table, [...found.values()]] as const];
    });
}

function subjectsOf({ row }: RowOf): (readonly [string, string])[] {
  const { device, subject, visit } = row;
  return [subject, visit].flatMap((each) =>
    typeof device === "string" && typeof each === "string" ? [[device, each] as const] : [],
  );
}
