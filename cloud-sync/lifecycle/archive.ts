/**
 * Months of the central log in the object store. A month leaves the database only when it was read
 * back and compared row by row, and when every sink has passed it; and it can be brought back.
 */
import { z } from "zod";
import type { Clock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { makePartition, partitionOf, startOfMonth } from "../log/partitions.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { Connection, Database } from "../postgres/database.ts";
import {
  type ArchivedFile,
  type ArchivedRow,
  broken,
  lineOfRow,
  type Manifest,
  manifestKey,
  packFile,
  sha256Of,
} from "./archive-format.ts";
import {
  type ArchivedMonth,
  archivedMonths,
  type RecordedMonth,
  readFile,
  readManifest,
} from "./archive-reader.ts";
import { insertRows, readRows } from "./archive-rows.ts";

export interface ArchiveOptions {
  readonly database: Database;
  readonly objects: ObjectStore;
  /** The sinks of this centre: a month is dropped only when they have all passed it. */
  readonly sinks: readonly string[];
  readonly clock: Pick<Clock, "now">;
}

export interface Archive {
  /** Months that are over and not archived yet, oldest first. */
  due(): Promise<readonly string[]>;
  list(): Promise<readonly ArchivedMonth[]>;
  /** Archives a month, and reads it back. Throws `archive.open` while entries may still arrive. */
  archive(month: string, signal: AbortSignal): Promise<Manifest>;
  /**
   * Holds what lies in the store against its manifest, and against the database while the month is
   * there. Throws `archive.broken` or `archive.unknown`.
   */
  verify(month: string, signal: AbortSignal): Promise<Manifest>;
  /** Takes a verified month out of the database. Throws `archive.needed` while a sink needs it. */
  drop(month: string, signal: AbortSignal): Promise<void>;
  /** Restores a month: verify and export are as they were before. */
  restore(month: string, signal: AbortSignal): Promise<void>;
}

/** A commit that began in the last second of a month ends a moment later. */
const SETTLED_MS = 3_600_000;
/** A file is a few MB, packed: it is whole in memory, several times. */
const FILE_BYTES = 32 * 1024 * 1024;

const PARTITIONS = `SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
  WHERE inhparent = 'event_log'::regclass ORDER BY relname`;
const RECORD = `INSERT INTO log_archives (month, entries, first_position, last_position, sha256)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (month) DO UPDATE SET entries = excluded.entries,
  first_position = excluded.first_position, last_position = excluded.last_position,
  sha256 = excluded.sha256, archived_at = now()`;
const BEHIND = `SELECT name FROM unnest($1::text[]) AS name
  LEFT JOIN sink_cursors ON sink = name WHERE position IS NULL OR position < $2
  UNION SELECT sink FROM sink_cursors WHERE position < $2
  UNION SELECT sink FROM sink_rejects WHERE position BETWEEN $3 AND $2 ORDER BY 1`;
const DROPPED = "UPDATE log_archives SET dropped_at = now() WHERE month = $1";
const RESTORED = "UPDATE log_archives SET dropped_at = NULL WHERE month = $1";

const nameRows = z.array(z.object({ name: z.string() }));
const countRow = z.tuple([z.object({ count: z.bigint() })]);

export function createArchive(options: ArchiveOptions): Archive {
  const { database, objects, sinks, clock } = options;
  const partitions = async (): Promise<readonly string[]> => {
    const names = nameRows.parse(await database.query(PARTITIONS));
    return names.map(({ name }) => name.replace("event_log_", "").replace("_", "-"));
  };
  const isOver = (month: string): boolean =>
    clock.now() >= startOfMonth(month, 1).getTime() + SETTLED_MS;
  const recorded = async (month: string): Promise<RecordedMonth> => {
    const found = (await archivedMonths(database)).find((each) => each.month === month);
    if (found !== undefined) return found;
    throw new PorchlightError("archive.unknown", `${month} is not archived`, {
      exitCode: EXIT.notFound,
      hint: "see what is: porchlight-cloud archive list",
    });
  };
  const verified = async (month: string, signal: AbortSignal): Promise<Manifest> => {
    const { sha256, droppedAt } = await recorded(month);
    const manifest = await readManifest(objects, month, sha256);
    for (const file of manifest.files) {
      const rows = await readFile(objects, file);
      if (droppedAt === null) await compare(database, month, file, rows);
      signal.throwIfAborted();
    }
    return manifest;
  };

  return {
    async due() {
      const done = new Set((await archivedMonths(database)).map(({ month }) => month));
      return (await partitions()).filter((month) => !done.has(month) && isOver(month));
    },
    list: () => archivedMonths(database),
    async archive(month, signal) {
      const known = (await archivedMonths(database)).find((each) => each.month === month);
      if (known?.droppedAt instanceof Date) return verified(month, signal);
      if (!(await partitions()).includes(month) || !isOver(month)) {
        throw new PorchlightError("archive.open", `${month} is no month here that is over`, {
          exitCode: EXIT.usage,
          hint: "name it as 2026-11; see which are due: porchlight-cloud archive list",
        });
      }
      await objects.open();
      const manifest = await writeMonth(database, objects, month, signal);
      const content = Buffer.from(JSON.stringify(manifest));
      await objects.put(manifestKey(month), content);
      const { entries, firstPosition, lastPosition } = manifest;
      const sha256 = Buffer.from(sha256Of(content), "hex");
      await database.query(RECORD, [month, entries, firstPosition, lastPosition, sha256]);
      return verified(month, signal);
    },
    verify: verified,
    async drop(month, signal) {
      const { sha256, droppedAt } = await recorded(month);
      if (droppedAt !== null) return;
      const manifest = await readManifest(objects, month, sha256);
      await database.transaction(async (connection) => {
        await lockMonth(connection, month);
        for (const file of manifest.files) {
          await compare(connection, month, file, await readFile(objects, file));
          signal.throwIfAborted();
        }
        await dropMonth(connection, manifest, sinks);
      }, signal);
    },
    async restore(month, signal) {
      const manifest = await verified(month, signal);
      if ((await recorded(month)).droppedAt === null) return;
      await database.transaction(async (connection) => {
        // Between two statements, a file is fetched.
        await connection.query("SET LOCAL idle_in_transaction_session_timeout = 0");
        await connection.query(makePartition(month));
        for (const file of manifest.files) {
          await insertRows(connection, await readFile(objects, file));
          signal.throwIfAborted();
        }
        await ensureComplete(connection, manifest);
        await connection.query(RESTORED, [month]);
      }, signal);
    },
  };
}

async function writeMonth(
  database: Database,
  objects: ObjectStore,
  month: string,
  signal: AbortSignal,
): Promise<Manifest> {
  const files: ArchivedFile[] = [];
  const logs = new Map<string, { log: string; first: number; last: number; entries: number }>();
  let rows: ArchivedRow[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const { content, file } = await packFile(month, files.length + 1, rows);
    await objects.put(file.key, content);
    files.push(file);
    [rows, bytes] = [[], 0];
  };
  for await (const page of readRows(database, month)) {
    for (const row of page) {
      const { log, seq } = row;
      const range = logs.get(log) ?? { log, first: seq, last: seq, entries: 0 };
      logs.set(log, { ...range, last: seq, entries: range.entries + 1 });
      rows.push(row);
      bytes += (row.body?.length ?? 0) + 300;
      if (bytes >= FILE_BYTES) await flush();
    }
    signal.throwIfAborted();
  }
  if (rows.length > 0) await flush();
  return {
    format: 1,
    month,
    entries: files.reduce((sum, { entries }) => sum + entries, 0),
    firstPosition: files.at(0)?.firstPosition ?? "0",
    lastPosition: files.at(-1)?.lastPosition ?? "0",
    logs: [...logs.values()],
    files,
  };
}

/** Row by row: what is archived is what is in the database, no more and no less. */
async function compare(
  database: Pick<Database, "query">,
  month: string,
  file: ArchivedFile,
  rows: readonly ArchivedRow[],
): Promise<void> {
  let at = 0;
  const range = { after: BigInt(file.firstPosition) - 1n, upTo: BigInt(file.lastPosition) };
  for await (const page of readRows(database, month, range)) {
    for (const row of page) {
      const archived = rows[at++];
      if (archived !== undefined && lineOfRow(archived) === lineOfRow(row)) continue;
      throw broken(file.key, `entry ${row.seq} of log ${row.log} is another one in the database`);
    }
  }
  if (at !== rows.length) throw broken(file.key, "the database has fewer entries");
}

/**
 * Until the commit nobody writes into the month: what is compared is what is dropped. It is still
 * read, and the log goes on. Between two statements, a file is fetched.
 */
async function lockMonth(connection: Connection, month: string): Promise<void> {
  await connection.query("SET LOCAL idle_in_transaction_session_timeout = 0");
  await connection.query(`LOCK TABLE ${partitionOf(month)} IN SHARE MODE`);
}

async function dropMonth(
  connection: Connection,
  manifest: Manifest,
  sinks: readonly string[],
): Promise<void> {
  const { month, firstPosition, lastPosition } = manifest;
  // No sink begins again meanwhile: it would miss what goes.
  await connection.query("LOCK TABLE sink_cursors, sink_rejects IN SHARE ROW EXCLUSIVE MODE");
  const range = [sinks, BigInt(lastPosition), BigInt(firstPosition)];
  const behind = nameRows.parse(await connection.query(BEHIND, range)).map(({ name }) => name);
  if (behind.length > 0) {
    const who = behind.join(", ");
    throw new PorchlightError("archive.needed", `${month} is still needed by: ${who}`, {
      hint: "see how far they are, and what they rejected: porchlight-cloud sinks list",
    });
  }
  await ensureComplete(connection, manifest);
  await connection.query(`DROP TABLE ${partitionOf(month)}`);
  await connection.query(DROPPED, [month]);
}

async function ensureComplete(connection: Connection, manifest: Manifest): Promise<void> {
  const table = partitionOf(manifest.month);
  const [{ count }] = countRow.parse(await connection.query(`SELECT count(*) FROM ${table}`));
  if (count === BigInt(manifest.entries)) return;
  throw broken(manifestKey(manifest.month), `the database has ${count} entries of this month`);
}
