/** Which snapshots there are: a projection of the log into the vault, and the files go with it. */
import { z } from "zod";
import type { EntryOf, KnownEntry } from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import { createObjectRows, type ObjectParts, type ObjectRows } from "./objects.ts";
import type { Projection } from "./projection-runner.ts";

export interface MediaItem {
  readonly id: string;
  readonly visit: string;
  readonly kind: string;
  /** Of the sealed bytes, as their file is named. */
  readonly sha256: string;
  readonly bytes: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly atMs: number;
  readonly log: string;
  readonly seq: number;
}

export interface Media extends Projection<KnownEntry>, Pick<ObjectRows, "isKnown" | "bytes"> {
  /** Of one visit, as they were captured. */
  ofVisit(visit: string): readonly MediaItem[];
  /** By its id, or by an unambiguous start of it. */
  find(idOrPrefix: string): MediaItem | null;
}

const itemRow = z
  .object({
    id: z.string(),
    visit: z.string(),
    kind: z.string(),
    sha256: z.string(),
    bytes: z.int(),
    width_px: z.int(),
    height_px: z.int(),
    at: z.int(),
    log: z.string(),
    seq: z.int(),
  })
  .transform(
    ({ width_px, height_px, at, ...row }): MediaItem => ({
      ...row,
      widthPx: width_px,
      heightPx: height_px,
      atMs: at,
    }),
  );
export function createMedia(parts: ObjectParts): Media {
  const { vault } = parts;
  const many = (sql: string, ...parameters: unknown[]): MediaItem[] =>
    z.array(itemRow).parse(vault.prepare(`SELECT * FROM media ${sql}`).all(...parameters));
  const table = { table: "media", sheds: "media.captured", class: "media" } as const;
  const rows = createObjectRows(parts, table);
  return {
    name: "media",
    apply(entry) {
      if (entry.type === "media.captured") insert(vault, entry);
      else rows.follow(entry);
    },
    reset: () => void vault.exec("DELETE FROM media"),
    ofVisit: (visit) => many("WHERE visit = ? ORDER BY seq", visit),
    find(idOrPrefix) {
      if (!/^[0-9a-f-]{4,36}$/.test(idOrPrefix)) return null;
      const found = many("WHERE id >= ? AND id < ? LIMIT 2", idOrPrefix, `${idOrPrefix}g`);
      return found.length === 1 ? (found[0] ?? null) : null;
    },
    isKnown: rows.isKnown,
    bytes: rows.bytes,
  };
}

function insert(vault: Database, entry: EntryOf<"media.captured">): void {
  const { visit, media, kind, sha256, bytes, widthPx, heightPx } = entry.data;
  vault
    .prepare("INSERT OR IGNORE INTO media VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .run(
      ...[media, visit, entry.subject ?? visit, kind, sha256, bytes, widthPx, heightPx],
      ...[entry.at, entry.log, entry.seq],
    );
}
