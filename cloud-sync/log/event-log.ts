/** The central log: the one way in, and the ways to read and verify it. */
import { z } from "zod";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import {
  type ChainReport,
  type Link,
  lineOf,
  verifyPages,
  type Witness,
} from "../../shared/log/chain.ts";
import { type Cursor, hashSchema } from "../../shared/log/cursor.ts";
import type { Database } from "../postgres/database.ts";
import { ensureMigrated, type MigrationFolder, migrate } from "../postgres/migrate.ts";
import { addDeadLetters, type KeptLetter, type Letter } from "./add-dead-letters.ts";
import { type Arrival, appendAll, type BatchOutcome } from "./append.ts";
import { createLinkPages, type LinkRow } from "./link-pages.ts";

export const LOG_MIGRATIONS: MigrationFolder = new URL("./migrations/", import.meta.url);

export interface StoredEntry {
  /** In the order of commits, across all logs; with holes. */
  readonly position: bigint;
  readonly log: string;
  readonly seq: number;
  /** 64 lowercase hex digits. */
  readonly hash: string;
  /** Null when emptied, or kept as a dead letter; so are the four after it. */
  readonly body: string | null;
  readonly type: string | null;
  /** Device wall clock, ms since the epoch. */
  readonly at: number | null;
  readonly subject: string | null;
  readonly actor: string | null;
  readonly receivedAt: Date;
}

/** A log as the centre has it. */
export interface LogState extends Cursor {
  readonly device: string;
  readonly parent: Cursor | null;
  readonly frozenAt: Date | null;
}

export interface CentralLog {
  /** Brings the schema up to date: for `start` and `migrate` alone. */
  open(): Promise<void>;
  /** Throws `store.schema.missing` or `.older` where that has not been done. */
  ensureMigrated(): Promise<void>;
  /**
   * Ingests batches, in order, in one transaction; resolves once it is committed, with the outcome
   * of each. What is rejected is kept: divergent branches in `forks`, the rest as dead letters.
   */
  append(arrivals: readonly Arrival[], signal?: AbortSignal): Promise<readonly BatchOutcome[]>;
  /** Keeps a message that could not be read. False when the device has too many. */
  addDeadLetter(letter: Letter): Promise<boolean>;
  /** Keeps messages that could not be read, in the order in which they came. */
  addDeadLetters(letters: readonly Letter[]): Promise<readonly KeptLetter[]>;
  /**
   * Entries of all logs after a position: none of them can still come in before another. At most
   * `limit`, and no more than fit into memory; none only where there are none.
   */
  readAfter(position: bigint, limit: number): Promise<readonly StoredEntry[]>;
  /** The same of some types alone: those among the next `limit` positions, and how far that is. */
  readByType(types: readonly string[], position: bigint, limit: number): Promise<EntryPage>;
  /** The entries at these positions, as far as they are there; few enough to fit into memory. */
  readAt(positions: readonly bigint[]): Promise<readonly StoredEntry[]>;
  /** Of the last entry; 0 where there is none. */
  lastPosition(): Promise<bigint>;
  /** How far the newest log of a device is here; null when it has none. */
  newest(device: string): Promise<Cursor | null>;
  /** Every log, oldest first. */
  logs(): Promise<readonly LogState[]>;
  /**
   * Reads and hashes a whole log, what left the database too if it is told where that is; without
   * it, such entries are missing. Throws `log.unknown`.
   */
  verify(
    log: string,
    witnesses: readonly Witness[],
    archived?: ArchiveReader,
  ): Promise<ChainReport>;
  /** The lines that the device's `porchlight log export` prints of it, page by page. */
  export(log: string, after: number, archived?: ArchiveReader): AsyncGenerator<readonly string[]>;
}

/** Entries of some types up to a position; null where there is nothing after the last one. */
export interface EntryPage {
  readonly entries: readonly StoredEntry[];
  readonly upTo: bigint | null;
}

/** Entries that left the database: those of a log between two, as many as there are, in order. */
export type ArchiveReader = (
  log: string,
  after: number,
  before: number,
) => AsyncIterable<readonly Link[]>;

/** Entries in one group commit: 10,000 of 400 bytes are 4 MB and a fifth of a second. */
export const ARRIVALS_MAX = 256;
const hashColumn = z
  .instanceof(Buffer)
  .transform((bytes) => bytes.toString("hex"))
  .pipe(hashSchema);
const numberColumn = z.bigint().transform(Number);

const entryRows = z.array(
  z
    .object({
      position: z.bigint(),
      log: z.string(),
      seq: numberColumn,
      hash: hashColumn,
      body: z.string().nullable(),
      type: z.string().nullable(),
      at: numberColumn.nullable(),
      subject: z.string().nullable(),
      actor: z.string().nullable(),
      received_at: z.date(),
    })
    .transform(({ received_at: receivedAt, ...row }): StoredEntry => ({ ...row, receivedAt })),
);

const lastRow = z.tuple([z.object({ last: z.bigint().nullable() })]);
const reachRow = z.tuple([z.object({ reach: z.bigint().nullable() })]);
const moreRow = z.object({ more: z.boolean() }).optional();

const logRows = z.array(
  z
    .object({
      log: z.string(),
      device: z.string(),
      seq: numberColumn,
      hash: hashColumn,
      parent_log: z.string().nullable(),
      parent_seq: numberColumn.nullable(),
      parent_hash: hashColumn.nullable(),
      frozen_at: z.date().nullable(),
    })
    .transform(({ log, device, seq, hash, ...row }): LogState => {
      const { parent_log, parent_seq, parent_hash, frozen_at: frozenAt } = row;
      const known = parent_log !== null && parent_seq !== null && parent_hash !== null;
      const parent = known ? { log: parent_log, seq: parent_seq, hash: parent_hash } : null;
      return { log, device, seq, hash, parent, frozenAt };
    }),
);

const cursorRows = z.array(z.object({ log: z.string(), seq: numberColumn, hash: hashColumn }));

const NEWEST = `SELECT log, head_seq AS seq, head_hash AS hash FROM logs WHERE device = $1
  ORDER BY created_at DESC, log LIMIT 1`;
/** A page of the largest entries (896 KiB each) would be a gigabyte: the first always fits. */
const PAGE_BYTES = 16 * 1024 * 1024;
const READ_AFTER = `SELECT position, log, seq, hash, body, type, at, subject, actor, received_at
  FROM (SELECT *, sum(octet_length(body)) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING
      AND 1 PRECEDING) AS before
    FROM (SELECT * FROM event_log WHERE position > $1 ORDER BY position LIMIT $2) AS page) AS page
  WHERE coalesce(before, 0) < ${PAGE_BYTES} ORDER BY position`;
const READ_AT = `SELECT position, log, seq, hash, body, type, at, subject, actor, received_at
  FROM event_log WHERE position = ANY ($1::bigint[]) ORDER BY position`;
const LAST = "SELECT max(position) AS last FROM event_log";
const REACH = `SELECT max(position) AS reach FROM
  (SELECT position FROM event_log WHERE position > $1 ORDER BY position LIMIT $2) AS page`;
const READ_OF = `SELECT position, log, seq, hash, body, type, at, subject, actor, received_at, more
  FROM (SELECT *, lead(position) OVER (ORDER BY position) IS NOT NULL AS more,
      sum(octet_length(body)) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING
      AND 1 PRECEDING) AS before
    FROM event_log WHERE position > $1 AND position <= $2 AND type = ANY ($3)) AS chosen
  WHERE coalesce(before, 0) < ${PAGE_BYTES} ORDER BY position`;
const LOGS = `SELECT log, device, head_seq AS seq, head_hash AS hash, parent_log, parent_seq,
  parent_hash, frozen_at FROM logs ORDER BY created_at, log`;

export function createCentralLog(database: Database): CentralLog {
  const pages = createLinkPages(database);
  const logs = async (): Promise<readonly LogState[]> => logRows.parse(await database.query(LOGS));
  const stateOf = async (log: string): Promise<LogState> => {
    const state = (await logs()).find((each) => each.log === log);
    if (state !== undefined) return state;
    throw new PorchlightError("log.unknown", `there is no log ${log} here`, {
      hint: "see which there are: porchlight-cloud log list",
    });
  };

  return {
    open: () => migrate(database, LOG_MIGRATIONS),
    ensureMigrated: () => ensureMigrated(database, LOG_MIGRATIONS),
    append(arrivals, signal) {
      invariant(arrivals.length <= ARRIVALS_MAX, `at most ${ARRIVALS_MAX} batches in one commit`);
      return database.transaction((each) => appendAll(each, arrivals), signal);
    },
    async addDeadLetter(letter) {
      const [kept] = await addDeadLetters(database, [letter]);
      return kept?.stored === true;
    },
    addDeadLetters: (letters) => addDeadLetters(database, letters),
    async newest(device) {
      return cursorRows.parse(await database.query(NEWEST, [device]))[0] ?? null;
    },
    async readAfter(position, limit) {
      return entryRows.parse(await database.query(READ_AFTER, [position, limit]));
    },
    async readByType(types, position, limit) {
      const [{ reach }] = reachRow.parse(await database.query(REACH, [position, limit]));
      if (reach === null) return { entries: [], upTo: null };
      const rows = await database.query(READ_OF, [position, reach, types]);
      const entries = entryRows.parse(rows);
      // What did not fit into memory comes with the next.
      const cut = moreRow.parse(rows.at(-1))?.more === true;
      return { entries, upTo: cut ? (entries.at(-1)?.position ?? reach) : reach };
    },
    async readAt(positions) {
      return entryRows.parse(await database.query(READ_AT, [positions]));
    },
    async lastPosition() {
      const [{ last }] = lastRow.parse(await database.query(LAST));
      return last ?? 0n;
    },
    logs,
    async verify(log, witnesses, archived) {
      const state = await stateOf(log);
      const kept = new Set<number>();
      const links = async function* (): AsyncGenerator<readonly LinkRow[]> {
        for await (const page of pages(state, 0, archived)) {
          for (const row of page) if (row.kept !== null) kept.add(row.seq);
          yield page;
        }
      };
      const { seq, hash } = state;
      const head = { log, seq, hash, from: "the head of the log" };
      return verifyPages(log, links(), [head, ...witnesses], kept);
    },
    async *export(log, after, archived) {
      for await (const page of pages(await stateOf(log), after, archived)) {
        yield page.map((row) => row.kept?.toString("utf8") ?? lineOf(row));
      }
    },
  };
}
