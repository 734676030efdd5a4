/** Archived months in the order of positions, for a projection that is built from the first entry. */
import { z } from "zod";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { StoredEntry } from "../log/event-log.ts";
import type { ArchivedPages } from "../log/pages.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { Database } from "../postgres/database.ts";
import type { ArchivedFile, ArchivedRow, Manifest } from "./archive-format.ts";
import { readFile, readManifest } from "./archive-reader.ts";

const AWAY = `SELECT month, first_position, last_position, encode(sha256, 'hex') AS sha256 FROM log_archives
  WHERE dropped_at IS NOT NULL AND last_position > $1 ORDER BY month`;
const LAST = "SELECT max(last_position) AS last FROM log_archives WHERE dropped_at IS NOT NULL";
const awayRows = z.array(
  z.object({
    month: z.string(),
    first_position: z.bigint(),
    last_position: z.bigint(),
    sha256: z.string(),
  }),
);
type Away = z.infer<typeof awayRows>[number];
const lastRow = z.tuple([z.object({ last: z.bigint().nullable() })]);

interface Part {
  readonly entries: readonly StoredEntry[];
  /** Everything of its month up to there. */
  readonly upTo: bigint;
}

/** Files that are read page by page: the last one of each of two months. */
const FILES_KEPT = 2;

export function createArchivedPages(
  database: Pick<Database, "query">,
  objects: ObjectStore,
  logger: Logger,
): ArchivedPages {
  const manifests = new Map<string, Manifest>();
  const files = new Map<string, readonly ArchivedRow[]>();
  const rowsOf = async (file: ArchivedFile): Promise<readonly ArchivedRow[]> => {
    const rows = files.get(file.sha256) ?? (await readFile(objects, file));
    files.delete(file.sha256);
    files.set(file.sha256, rows);
    const [oldest] = files.keys();
    if (files.size > FILES_KEPT && oldest !== undefined) files.delete(oldest);
    return rows;
  };
  const partOf = async ({ month, sha256, last_position }: Away, after: bigint): Promise<Part> => {
    const manifest = manifests.get(sha256) ?? (await readManifest(objects, month, sha256));
    manifests.set(sha256, manifest);
    const file = manifest.files.find((each) => BigInt(each.lastPosition) > after);
    if (file === undefined) return { entries: [], upTo: last_position };
    const rows = await rowsOf(file);
    const entries = rows.filter((row) => BigInt(row.position) > after).map(entryOf);
    return { entries, upTo: BigInt(file.lastPosition) };
  };
  const readable = async (month: Away, after: bigint, incomplete: boolean): Promise<Part> => {
    try {
      return await partOf(month, after);
    } catch (error) {
      const broken = error instanceof PorchlightError && error.code === "archive.broken";
      if (!broken || !incomplete) throw error;
      logger.error("archived month left out of a replay: it cannot be read", {
        month: month.month,
        hint: "restore its objects from a backup, and replay again: porchlight-cloud sinks replay",
      });
      return { entries: [], upTo: month.last_position };
    }
  };
  return {
    async lastPosition() {
      const [{ last }] = lastRow.parse(await database.query(LAST));
      return last;
    },
    async after(position, limit, incomplete) {
      const months = awayRows.parse(await database.query(AWAY, [position]));
      if (months.length === 0) return null;
      const parts: Part[] = [];
      for (const month of months) {
        // A later month may begin before this page ends: the place of a dead letter was filled in.
        if (parts.length > 0 && month.first_position > bound(parts)) continue;
        parts.push(await readable(month, position, incomplete));
      }
      const upTo = bound(parts);
      const entries = parts
        .flatMap((part) => part.entries)
        .filter((entry) => entry.position <= upTo)
        .sort((a, b) => (a.position < b.position ? -1 : 1));
      const cut = entries.length > limit ? entries[limit - 1] : undefined;
      if (cut === undefined) return { entries, upTo };
      return { entries: entries.slice(0, limit), upTo: cut.position };
    },
  };
}

function bound(parts: readonly Part[]): bigint {
  const [least] = parts.map(({ upTo }) => upTo).sort((a, b) => (a < b ? -1 : 1));
  invariant(least !== undefined, "there is a month to read");
  return least;
}

function entryOf({ position, receivedUs, ...row }: ArchivedRow): StoredEntry {
  const receivedAt = new Date(Number(BigInt(receivedUs) / 1_000n));
  return { ...row, position: BigInt(position), receivedAt };
}
