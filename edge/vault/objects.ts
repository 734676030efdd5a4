/** Sealed objects beside the log: their rows in the vault and their files go together, and why they go. */
import { z } from "zod";
import {
  type EntryType,
  type KnownEntry,
  knownEntry,
  type PersonalClass,
  parseEntry,
} from "../../shared/log/entry.ts";
import { unsealObject } from "../../shared/log/seal.ts";
import type { EventLog } from "../log/event-log.ts";
import { openPersonal } from "../log/open-entry.ts";
import type { MediaFiles } from "../media/media-files.ts";
import type { Database } from "../sqlite/database.ts";
import type { Keyring } from "./keyring.ts";

export interface ObjectParts {
  readonly vault: Database;
  readonly files: Pick<MediaFiles, "remove">;
}

export interface ObjectTable {
  readonly table: "media" | "crops";
  /** The type of the entries that may be shed, and whose objects then go too. */
  readonly sheds: EntryType;
  readonly class: PersonalClass;
}

export interface ObjectRows {
  /** Removes what an entry has made unreadable, or has given up. */
  follow(entry: KnownEntry): void;
  remove(where: string, ...parameters: unknown[]): void;
  isKnown(sha256: string): boolean;
  /** Of all of them together, as they lie on the disk. */
  bytes(): number;
}

const goneRows = z.array(z.object({ id: z.string(), sha256: z.string() }));

/** Erasure comes first: it has followed the links already, and marked whom it has erased. */
const ERASED = `subject IN (SELECT subject FROM erased_subjects)
  OR visit IN (SELECT subject FROM erased_subjects)`;

export function createObjectRows({ vault, files }: ObjectParts, of: ObjectTable): ObjectRows {
  const { table } = of;
  /** The file first: a row without one can be removed again, a file without a row is lost. */
  const remove = (where: string, ...parameters: unknown[]): void => {
    const select = vault.prepare(`SELECT id, sha256 FROM ${table} WHERE ${where}`);
    const gone = goneRows.parse(select.all(...parameters));
    const forget = vault.prepare(`DELETE FROM ${table} WHERE id = ?`);
    for (const { id, sha256 } of gone) {
      files.remove(sha256);
      forget.run(id);
    }
  };
  return {
    remove,
    follow(entry) {
      if (entry.type === "buffer.shed" && entry.data.types.includes(of.sheds)) {
        const { ranges, from, to } = entry.data;
        for (const [first, last] of ranges ?? [[from, to]]) {
          remove("log = ? AND seq BETWEEN ? AND ?", entry.log, first, last);
        }
      } else if (entry.type === "person.erased") {
        remove(ERASED);
      } else if (entry.type === "visit.recognised" || entry.type === "visit.linked") {
        // As it turns out, of somebody who was erased meanwhile.
        remove(`visit = ? AND (${ERASED})`, entry.data.visit);
      } else if (entry.type === "keys.destroyed" && entry.data.classes.includes(of.class)) {
        remove("subject = ?", entry.subject);
      }
    },
    isKnown: (sha256) =>
      vault.prepare(`SELECT 1 FROM ${table} WHERE sha256 = ?`).get(sha256) !== undefined,
    // total(): as a float, whatever the entries say.
    bytes: () => z.number().parse(vault.prepare(`SELECT total(bytes) FROM ${table}`).pluck().get()),
  };
}

/** An object, and the entry that holds its key. */
export interface ObjectPlace {
  readonly id: string;
  readonly sha256: string;
  readonly log: string;
  readonly seq: number;
}

export interface OpenObjectParts {
  readonly log: Pick<EventLog, "head" | "readAfter">;
  readonly keyring: Pick<Keyring, "open">;
  readonly files: Pick<MediaFiles, "read">;
}

/** What was sealed, or null where its key, its entry or its file is gone. */
export function openObject(
  place: ObjectPlace,
  { log, keyring, files }: OpenObjectParts,
): Buffer | null {
  if (log.head().log !== place.log) return null;
  const [stored] = log.readAfter(place.seq - 1, 1);
  const entry = stored?.body == null ? null : knownEntry(parseEntry(stored.body));
  const key = entry === null ? null : keyIn(entry, keyring);
  const sealed = files.read(place.sha256);
  return key === null || sealed === null ? null : unsealObject(key, place.id, sealed);
}

function keyIn(entry: KnownEntry, keyring: Pick<Keyring, "open">): Buffer | null {
  const { type } = entry;
  const personal =
    type === "media.captured"
      ? openPersonal(entry, keyring)?.media
      : type === "crop.captured" || type === "crop.enrolled"
        ? openPersonal(entry, keyring)?.biometric
        : undefined;
  return personal === undefined ? null : Buffer.from(personal.key, "base64");
}
