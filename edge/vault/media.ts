/** Which snapshots there are: a projection of the log into the vault, and the files go with it. */
import { z } from "zod";
import { type EntryOf, type KnownEntry, knownEntry, parseEntry } from "../../shared/log/entry.ts";
import { unsealObject } from "../../shared/log/seal.ts";
import type { EventLog } from "../log/event-log.ts";
import { openPersonal } from "../log/open-entry.ts";
import type { MediaFiles } from "../media/media-files.ts";
import type { Database } from "../sqlite/database.ts";
import type { Keyring } from "./keyring.ts";
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

export interface Media extends Projection<KnownEntry> {
  /** Of one visit, as they were captured. */
  ofVisit(visit: string): readonly MediaItem[];
  /** By its id, or by an unambiguous start of it. */
  find(idOrPrefix: string): MediaItem | null;
  isKnown(sha256: string): boolean;
  /** Of all of them together, as they lie on the disk. */
  bytes(): number;
}

export interface MediaParts {
  readonly vault: Database;
  readonly files: Pick<MediaFiles, "remove">;
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
const goneRows = z.array(z.object({ id: z.string(), sha256: z.string() }));
/** Erasure comes first: it has followed the links already, and marked whom it has erased. */
const ERASED = `subject IN (SELECT subject FROM erased_subjects)
  OR visit IN (SELECT subject FROM erased_subjects)`;

export function createMedia({ vault, files }: MediaParts): Media {
  const many = (sql: string, ...parameters: unknown[]): MediaItem[] =>
    z.array(itemRow).parse(vault.prepare(`SELECT * FROM media ${sql}`).all(...parameters));
  /** The file first: a row without one can be removed again, a file without a row is lost. */
  const remove = (where: string, ...parameters: unknown[]): void => {
    const select = vault.prepare(`SELECT id, sha256 FROM media WHERE ${where}`);
    const gone = goneRows.parse(select.all(...parameters));
    const forget = vault.prepare("DELETE FROM media WHERE id = ?");
    for (const { id, sha256 } of gone) {
      files.remove(sha256);
      forget.run(id);
    }
  };
  return {
    name: "media",
    apply(entry) {
      if (entry.type === "media.captured") insert(vault, entry);
      else if (entry.type === "buffer.shed" && entry.data.types.includes("media.captured")) {
        const { ranges, from, to } = entry.data;
        for (const [first, last] of ranges ?? [[from, to]]) {
          remove("log = ? AND seq BETWEEN ? AND ?", entry.log, first, last);
        }
      } else if (entry.type === "person.erased") {
        remove(ERASED);
      } else if (entry.type === "visit.recognised" || entry.type === "visit.linked") {
        // As it turns out, of somebody who was erased meanwhile.
        remove(`visit = ? AND (${ERASED})`, entry.data.visit);
      } else if (entry.type === "keys.destroyed" && entry.data.classes.includes("media")) {
        remove("subject = ?", entry.subject);
      }
    },
    reset: () => void vault.exec("DELETE FROM media"),
    ofVisit: (visit) => many("WHERE visit = ? ORDER BY seq", visit),
    find(idOrPrefix) {
      if (!/^[0-9a-f-]{4,36}$/.test(idOrPrefix)) return null;
      const found = many("WHERE id >= ? AND id < ? LIMIT 2", idOrPrefix, `${idOrPrefix}g`);
      return found.length === 1 ? (found[0] ?? null) : null;
    },
    isKnown: (sha256) =>
      vault.prepare("SELECT 1 FROM media WHERE sha256 = ?").get(sha256) !== undefined,
    bytes: () =>
      z.int().parse(vault.prepare("SELECT coalesce(sum(bytes), 0) FROM media").pluck().get()),
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

export interface OpenMediaParts {
  readonly log: Pick<EventLog, "head" | "readAfter">;
  readonly keyring: Pick<Keyring, "open">;
  readonly files: Pick<MediaFiles, "read">;
}

/** What was captured, or null where its key, its entry or its file is gone. */
export function openMedia(item: MediaItem, { log, keyring, files }: OpenMediaParts): Buffer | null {
  if (log.head().log !== item.log) return null;
  const [stored] = log.readAfter(item.seq - 1, 1);
  const entry = stored?.body == null ? null : knownEntry(parseEntry(stored.body));
  const personal = entry?.type === "media.captured" ? openPersonal(entry, keyring) : null;
  const sealed = files.read(item.sha256);
  if (personal === null || sealed === null) return null;
  return unsealObject(Buffer.from(personal.media.key, "base64"), item.id, sealed);
}
