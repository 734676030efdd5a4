/** What was archived, and how it is read. */
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import type { ArchiveReader } from "../log/event-log.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { Database } from "../postgres/database.ts";
import {
  type ArchivedFile,
  type ArchivedRow,
  broken,
  type Manifest,
  manifestKey,
  manifestSchema,
  sha256Of,
  unpackFile,
} from "./archive-format.ts";

export interface ArchivedMonth {
  readonly month: string;
  readonly entries: bigint;
  readonly archivedAt: Date;
  /** When it left the database; null while it is there. */
  readonly droppedAt: Date | null;
}

const ARCHIVES = `SELECT month, entries, archived_at, dropped_at, encode(sha256, 'hex') AS sha256
  FROM log_archives ORDER BY month`;
const archiveRows = z.array(
  z
    .object({
      month: z.string(),
      entries: z.bigint(),
      archived_at: z.date(),
      dropped_at: z.date().nullable(),
      sha256: z.string(),
    })
    .transform(({ archived_at: archivedAt, dropped_at: droppedAt, ...row }) => ({
      ...row,
      archivedAt,
      droppedAt,
    })),
);
export type RecordedMonth = z.infer<typeof archiveRows>[number];

/** Every archived month, oldest first. */
export async function archivedMonths(
  database: Pick<Database, "query">,
): Promise<readonly RecordedMonth[]> {
  return archiveRows.parse(await database.query(ARCHIVES));
}

/**
 * Reads what is in the store alone, of one log at a time: each time all files of the months that
 * have any of it. Throws `archive.broken`.
 */
export function createArchiveReader(
  database: Pick<Database, "query">,
  objects: ObjectStore,
): ArchiveReader {
  return async function* (log, after, before) {
    for (const { month, sha256, droppedAt } of await archivedMonths(database)) {
      if (droppedAt === null) continue;
      const { logs, files } = await readManifest(objects, month, sha256);
      const range = logs.find((each) => each.log === log);
      if (range === undefined || range.last <= after || range.first >= before) continue;
      for (const file of files) {
        const rows = await readFile(objects, file);
        const page = rows.filter((row) => row.log === log && row.seq > after && row.seq < before);
        if (page.length > 0) yield page;
      }
    }
  };
}

export async function readManifest(
  objects: ObjectStore,
  month: string,
  sha256: string,
): Promise<Manifest> {
  const key = manifestKey(month);
  const content = await readObject(objects, key);
  if (sha256Of(content) !== sha256) throw broken(key, "it is not the one that was recorded");
  return manifestSchema.parse(JSON.parse(content.toString("utf8")));
}

export async function readFile(
  objects: ObjectStore,
  file: ArchivedFile,
): Promise<readonly ArchivedRow[]> {
  return unpackFile(await readObject(objects, file.key), file);
}

async function readObject(objects: ObjectStore, key: string): Promise<Buffer> {
  const stream = await objects.get(key);
  if (stream === null) throw broken(key, "it is not there");
  return buffer(stream);
}
