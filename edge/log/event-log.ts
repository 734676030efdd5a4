/** The log of this device: the only writer, and the way to read and verify it. */
import { z } from "zod";
import {
  type ChainReport,
  canonicalEntry,
  canonicalJson,
  chainHash,
  type Link,
  verifyChain,
  type Witness,
} from "../../shared/chain.ts";
import type { Clock } from "../../shared/clock.ts";
import { type Cursor, GENESIS_HASH } from "../../shared/cursor.ts";
import {
  ENTRY_BYTES_MAX,
  ENTRY_DATA,
  ENTRY_PERSONAL,
  type Entry,
  type EntryData,
  type EntryPersonal,
  type EntryType,
  entrySchema,
  PERSONAL_CLASSES,
  type PersonalClass,
  type PersonalType,
} from "../../shared/entry.ts";
import { invariant, PorchlightError } from "../../shared/errors.ts";
import type { Database } from "../store/database.ts";
import type { Keyring } from "../store/keyring.ts";

/** A fact about to be appended; the log adds its place, time and hash. */
export interface Draft<T extends EntryType = EntryType> {
  readonly type: T;
  readonly actor: string;
  readonly data: EntryData<T>;
  readonly subject?: string | null;
  /** Content to be sealed under the subject's keys, by class. */
  readonly personal?: EntryPersonal<T>;
}
export type AnyDraft = { [T in EntryType]: Draft<T> }[EntryType];

/** An entry as it is stored: `body` are its canonical bytes, null once shed. */
export interface StoredEntry extends Link {
  readonly log: string;
}

export interface EventLogOptions {
  readonly database: Database;
  /** Absent where only the log key is held: such a process cannot seal. */
  readonly keyring?: Keyring;
  readonly clock: Clock;
  readonly clockState: (nowMs: number) => Entry["clock"];
  readonly newId: () => string;
}

export interface EventLog {
  /** The last entry, or the place before the first. */
  head(): Cursor;
  /** Starts a new log: for a new store, or one that was restored (`parent`: where it left off). */
  begin(device: string, parent: Cursor | null): Cursor;
  /** Appends in one transaction; returns once the entries are durable. Sealing needs the keyring. */
  append(drafts: readonly AnyDraft[]): readonly Cursor[];
  /** Entries after `seq` of the current log, oldest first; a place only another log knows throws. */
  readAfter(seq: number, limit: number): readonly StoredEntry[];
  /** Reads and hashes everything; `witnesses` are places known from outside log.db. */
  verify(witnesses: readonly Witness[]): ChainReport;
}

/** One transaction holds at most this many entries, so that a reader never waits long. */
export const APPEND_LIMIT = 1_000;

const logRow = z.object({
  id: z.int(),
  uuid: z.uuid(),
  first_position: z.int(),
  head_seq: z.int(),
  head_hash: z.instanceof(Buffer),
});
type LogRow = z.infer<typeof logRow>;
const entryRow = z.object({
  position: z.int(),
  hash: z.instanceof(Buffer),
  body: z.string().nullable(),
});

export function createEventLog(options: EventLogOptions): EventLog {
  const { database } = options;
  const statements = prepare(database);
  const current = (): LogRow => {
    const row = logRow.optional().parse(statements.currentLog.get());
    if (row !== undefined) return row;
    throw new PorchlightError("log.empty", "the store holds no log yet", {
      hint: "make one: porchlight init",
    });
  };
  const headOf = ({ uuid, head_seq, head_hash }: LogRow): Cursor => ({
    log: uuid,
    seq: head_seq,
    hash: head_hash.toString("hex"),
  });
  const write = (log: LogRow, drafts: readonly AnyDraft[]): readonly Cursor[] => {
    let head = headOf(log);
    const cursors = drafts.map((draft) => {
      const seq = head.seq + 1;
      const body = canonicalEntry(compose(draft, { log: head.log, seq }, options));
      invariant(Buffer.byteLength(body) <= ENTRY_BYTES_MAX, "an entry is within its size limit");
      head = { log: head.log, seq, hash: chainHash(head.hash, body) };
      statements.insert.run(log.first_position + seq - 1, Buffer.from(head.hash, "hex"), body);
      return head;
    });
    statements.moveHead.run(head.seq, Buffer.from(head.hash, "hex"), log.id);
    return cursors;
  };
  const appendAll = database.transaction((drafts: readonly AnyDraft[]) => write(current(), drafts));
  const beginLog = database.transaction((device: string, parent: Cursor | null) => {
    statements.newLog.run(options.newId(), Buffer.from(GENESIS_HASH, "hex"));
    const draft: AnyDraft = {
      type: "store.opened",
      actor: "device",
      data: { device, format: 1, parent },
    };
    return write(current(), [draft]);
  });

  return {
    head: () => headOf(current()),
    begin(device, parent) {
      const [cursor] = beginLog.immediate(device, parent);
      invariant(cursor !== undefined, "a new log has a first entry");
      return cursor;
    },
    append(drafts) {
      invariant(drafts.length > 0 && drafts.length <= APPEND_LIMIT, "1 to 1,000 drafts at once");
      for (const draft of drafts) ensureKeys(draft, options.keyring);
      return appendAll.immediate(drafts);
    },
    readAfter(seq, limit) {
      const { uuid, first_position } = current();
      const rows = z
        .array(entryRow)
        .parse(statements.readAfter.all(first_position + seq - 1, limit));
      return rows.map(({ position, hash, body }) => ({
        log: uuid,
        seq: position - first_position + 1,
        hash: hash.toString("hex"),
        body,
      }));
    },
    verify(witnesses) {
      const log = current();
      const { seq, hash } = headOf(log);
      const links = storedLinks(statements.readAll, log.first_position);
      return verifyChain(links, [{ seq, hash, from: "the head of the log" }, ...witnesses]);
    },
  };
}

function prepare(database: Database) {
  return {
    currentLog: database.prepare("SELECT * FROM logs ORDER BY id DESC LIMIT 1"),
    newLog: database.prepare(
      `INSERT INTO logs (uuid, first_position, head_seq, head_hash)
       SELECT ?, coalesce(max(position), 0) + 1, 0, ? FROM entries`,
    ),
    insert: database.prepare("INSERT INTO entries (position, hash, body) VALUES (?, ?, ?)"),
    moveHead: database.prepare("UPDATE logs SET head_seq = ?, head_hash = ? WHERE id = ?"),
    readAfter: database.prepare(
      "SELECT position, hash, body FROM entries WHERE position > ? ORDER BY position LIMIT ?",
    ),
    readAll: database
      .prepare<[number], [number, Buffer, string | null]>(
        "SELECT position, hash, body FROM entries WHERE position >= ? ORDER BY position",
      )
      .raw(),
  };
}

/** Rows as they lie there: nothing is assumed of a store that is being verified. */
function* storedLinks(
  rows: { iterate(first: number): Iterable<[number, Buffer, string | null]> },
  first: number,
): Generator<Link> {
  for (const [position, hash, body] of rows.iterate(first)) {
    yield { seq: position - first + 1, hash: hash.toString("hex"), body };
  }
}

/** Keys are durable in the vault before the entry they seal is written to the log. */
function ensureKeys(draft: AnyDraft, keyring: Keyring | undefined): void {
  if (draft.personal === undefined) return;
  invariant(keyring !== undefined, `${draft.type} with personal content needs the vault key`);
  invariant(typeof draft.subject === "string", `${draft.type} names the subject it is about`);
  keyring.ensure(draft.subject, classesOf(draft.personal));
}

function classesOf(personal: object): PersonalClass[] {
  return PERSONAL_CLASSES.filter((each) => Object.hasOwn(personal, each));
}

function isPersonalType(type: EntryType): type is PersonalType {
  return Object.hasOwn(ENTRY_PERSONAL, type);
}

function compose(
  draft: AnyDraft,
  place: { readonly log: string; readonly seq: number },
  { clock, clockState, keyring }: EventLogOptions,
): Entry {
  const { type, actor, subject = null } = draft;
  const at = clock.now();
  return entrySchema.parse({
    actor,
    at,
    clock: clockState(at),
    data: ENTRY_DATA[type].parse(draft.data),
    log: place.log,
    monotonicMs: clock.monotonicMs(),
    sealed: sealedOf(draft, place, keyring),
    seq: place.seq,
    subject,
    type,
  });
}

function sealedOf(
  { type, subject, personal }: AnyDraft,
  place: { readonly log: string; readonly seq: number },
  keyring: Keyring | undefined,
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
