/** The log of this device: the only writer, and the way to read and verify it. */

import { z } from "zod";
import type { Clock } from "../../shared/core/clock.ts";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import {
  canonicalEntry,
  canonicalJson,
  chainHash,
  type Link,
  type Witness,
} from "../../shared/log/chain.ts";
import { type Cursor, startOf } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import {
  ACTOR,
  ENTRY_BYTES_MAX,
  ENTRY_DATA,
  ENTRY_PERSONAL,
  type Entry,
  type EntryType,
  PERSONAL_CLASSES,
  type PersonalClass,
  type PersonalType,
  subjectSchema,
} from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import { type Announce, LIVE_OUTBOX_MAX, type LivePlace } from "./live-messages.ts";
import type { SubjectKeys } from "./subject-keys.ts";
import { type LogReport, verifyLog } from "./verify.ts";

/** An entry as it is stored: `body` are its canonical bytes, null once shed. */
export interface StoredEntry extends Link {
  readonly log: string;
}

export interface EventLogOptions {
  readonly database: Database;
  /** Absent where only the log key is held: such a process cannot seal. */
  readonly keyring?: SubjectKeys;
  readonly clock: Clock;
  readonly clockState: (nowMs: number) => Entry["clock"];
  readonly newId: () => string;
  /** The live notification of an entry, written in the same transaction. */
  readonly announce?: Announce;
}

export interface EventLog {
  /** The last entry, or the place before the first. */
  head(): Cursor;
  /**
   * Starts a new log: for a new store, or one that was restored. `parent`: the last place of the
   * current one that the centre may hold too; what follows it there goes nowhere any more.
   */
  begin(device: string, parent: Cursor | null): Cursor;
  /** Appends in one transaction; returns once the entries are durable. Sealing needs the keyring. */
  append(drafts: readonly AnyDraft[]): readonly Cursor[];
  /** Changes log.db and appends the entry about it, in one transaction; no drafts, no entry. */
  appendWith(change: () => readonly AnyDraft[]): readonly Cursor[];
  /** Entries after `seq` of the current log, oldest first; a place only another log knows throws. */
  readAfter(seq: number, limit: number): readonly StoredEntry[];
  /** Verifies every life of the log; `witnesses` are places known from elsewhere. */
  verify(witnesses: readonly Witness[]): LogReport;
}

/** One transaction holds at most this many entries, so that a reader never waits long. */
export const APPEND_LIMIT = 1_000;

const lastRow = z.object({
  uuid: z.uuid(),
  first: z.int(),
  position: z.int().nullable(),
  hash: z.instanceof(Buffer).nullable(),
});
export const entryRow = z.object({
  position: z.int(),
  hash: z.instanceof(Buffer),
  body: z.string().nullable(),
});

export function createEventLog(options: EventLogOptions): EventLog {
  const { database, keyring } = options;
  const statements = prepare(database);
  // Where the log ends, for as long as no other connection commits: read again it costs a durable
  // append a tenth of its time.
  let known: { readonly version: number; readonly place: Place } | undefined;
  const current = (): Place => {
    const version = Number(statements.dataVersion.get());
    if (known?.version === version) return known.place;
    const place = placeOf(statements.last.get());
    known = { version, place };
    return place;
  };
  const announce = (draft: AnyDraft, place: LivePlace, position: number): void => {
    const message = options.announce?.(draft, place);
    if (message == null) return;
    const { channel, payload } = message;
    statements.live.run(position, channel, place.at, options.clock.monotonicMs(), payload);
    statements.crowdedOut.run(LIVE_OUTBOX_MAX);
  };
  const insertEntries = (
    { first, head }: Place,
    drafts: readonly AnyDraft[],
  ): readonly Cursor[] => {
    const moment = momentOf(options);
    const { log } = head;
    let { seq, hash } = head;
    return drafts.map((draft) => {
      seq++;
      const body = canonicalEntry(compose(draft, { log, seq }, moment, keyring));
      invariant(Buffer.byteLength(body) <= ENTRY_BYTES_MAX, "an entry is within its size limit");
      hash = chainHash(hash, body);
      statements.insert.run(first + seq - 1, Buffer.from(hash, "hex"), body);
      announce(draft, { log, seq, at: moment.at }, first + seq - 1);
      return { log, seq, hash };
    });
  };
  const appendAll = database.transaction((change: () => readonly AnyDraft[]) => {
    // Read first: whatever the change does, these entries follow the head of now.
    const place = current();
    return insertEntries(place, change());
  });
  const commit = (change: () => readonly AnyDraft[]): readonly Cursor[] => {
    const cursors = appendAll.immediate(change);
    const head = cursors.at(-1);
    if (known && head) known = { ...known, place: { ...known.place, head } };
    return cursors;
  };
  const beginLog = database.transaction((device: string, parent: Cursor | null) => {
    if (parent !== null) statements.leaveOff.run(parent.seq, parent.log);
    statements.newLog.run(options.newId());
    const draft: AnyDraft = {
      type: "store.opened",
      actor: "device",
      data: { device, format: 1, parent },
    };
    return insertEntries(placeOf(statements.last.get()), [draft]);
  });

  return {
    head: () => current().head,
    begin(device, parent) {
      known = undefined;
      const [cursor] = beginLog.immediate(device, parent);
      invariant(cursor !== undefined, "a new log has a first entry");
      return cursor;
    },
    append(drafts) {
      invariant(drafts.length > 0 && drafts.length <= APPEND_LIMIT, "1 to 1,000 drafts at once");
      withKeys(drafts, keyring);
      return commit(() => drafts);
    },
    appendWith: (change) => commit(() => withKeys(change(), keyring)),
    readAfter(seq, limit) {
      const { head, first } = current();
      const rows = z.array(entryRow).parse(statements.readAfter.all(first + seq - 1, limit));
      return rows.map(({ position, hash, body }) => ({
        log: head.log,
        seq: position - first + 1,
        hash: hash.toString("hex"),
        body,
      }));
    },
    verify: (witnesses) => verifyLog(database, witnesses),
  };
}

/** The current log: where it begins and where it ends. */
interface Place {
  /** The position of its first entry. */
  readonly first: number;
  readonly head: Cursor;
}

function placeOf(row: unknown): Place {
  const log = lastRow.optional().parse(row);
  if (log === undefined) {
    throw new PorchlightError("log.empty", "the store holds no log yet", {
      hint: "make one: porchlight init",
    });
  }
  const { uuid, first, position, hash } = log;
  if (position === null || hash === null || position < first) return { first, head: startOf(uuid) };
  return { first, head: { log: uuid, seq: position - first + 1, hash: hash.toString("hex") } };
}

function prepare(database: Database) {
  return {
    dataVersion: database.prepare("PRAGMA data_version").pluck(),
    last: database.prepare(
      `SELECT uuid, first_position AS first, position, hash
       FROM (SELECT * FROM logs ORDER BY id DESC LIMIT 1)
       LEFT JOIN (SELECT * FROM entries ORDER BY position DESC LIMIT 1)`,
    ),
    leaveOff: database.prepare("UPDATE logs SET kept_to = ? WHERE uuid = ?"),
    newLog: database.prepare(
      "INSERT INTO logs (uuid, first_position) SELECT ?, coalesce(max(position), 0) + 1 FROM entries",
    ),
    insert: database.prepare("INSERT INTO entries (position, hash, body) VALUES (?, ?, ?)"),
    live: database.prepare(
      "INSERT INTO live (position, channel, at, monotonic_ms, payload) VALUES (?, ?, ?, ?, ?)",
    ),
    crowdedOut: database.prepare(
      `DELETE FROM live WHERE position <=
         (SELECT position FROM live ORDER BY position DESC LIMIT 1 OFFSET ?)`,
    ),
    readAfter: database.prepare(
      "SELECT position, hash, body FROM entries WHERE position > ? ORDER BY position LIMIT ?",
    ),
  };
}

/** Keys are durable in the vault before the entry they seal is written to the log. */
function withKeys(
  drafts: readonly AnyDraft[],
  keyring: SubjectKeys | undefined,
): readonly AnyDraft[] {
  for (const { type, subject, personal } of drafts) {
    if (personal === undefined) continue;
    invariant(keyring !== undefined, `${type} with personal content needs the vault key`);
    invariant(typeof subject === "string", `${type} names the subject it is about`);
    keyring.ensure(subject, classesOf(personal));
  }
  return drafts;
}

function classesOf(personal: object): PersonalClass[] {
  return PERSONAL_CLASSES.filter((each) => Object.hasOwn(personal, each));
}

function isPersonalType(type: EntryType): type is PersonalType {
  return Object.hasOwn(ENTRY_PERSONAL, type);
}

/** When a transaction is written: the same for all its entries. */
type Moment = Pick<Entry, "at" | "clock" | "monotonicMs">;

function momentOf({ clock, clockState }: EventLogOptions): Moment {
  const at = clock.now();
  const monotonicMs = clock.monotonicMs();
  invariant(Number.isInteger(at) && Number.isInteger(monotonicMs), "times are whole milliseconds");
  return { at, clock: clockState(at), monotonicMs };
}

/** An entry as entrySchema has it: checked is what the types of a draft don't say already. */
function compose(
  draft: AnyDraft,
  place: { readonly log: string; readonly seq: number },
  moment: Moment,
  keyring: SubjectKeys | undefined,
): Entry {
  const { type, actor, subject = null } = draft;
  invariant(ACTOR.test(actor), "an actor is the device or a user somewhere");
  return {
    actor,
    ...moment,
    data: ENTRY_DATA[type].parse(draft.data),
    ...place,
    sealed: sealedOf(draft, place, keyring),
    subject: subject && subjectSchema.parse(subject),
    type,
  };
}

function sealedOf(
  { type, subject, personal }: AnyDraft,
  place: { readonly log: string; readonly seq: number },
  keyring: SubjectKeys | undefined,
): Entry["sealed"] {
  if (personal === undefined) return null;
  invariant(isPersonalType(type) && keyring !== undefined, `${type} carries personal content`);
  invariant(typeof subject === "string", `${type} names its subject`);
  const content: Partial<Record<PersonalClass, unknown>> = ENTRY_PERSONAL[type].parse(personal);
  return Object.fromEntries(
    classesOf(content).map((each) => {
      const plain = Buffer.from(canonicalJson(content[each]), "utf8");
      return [each, keyring.seal({ ...place, type, subject, class: each }, plain)];
    }),
  );
}
