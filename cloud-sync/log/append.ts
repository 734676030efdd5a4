/** One group commit: batches of many devices are classified, and what is new is written. */
import { z } from "zod";
import { invariant } from "../../shared/core/errors.ts";
import { plainLine } from "../../shared/core/printable.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { Batch, BatchEntry } from "../../shared/protocol/batch.ts";
import { type Connection, prepared } from "../postgres/database.ts";
import {
  type BatchClass,
  claimedPlaces,
  classifyBatch,
  type Known,
  type LogHead,
  parentOf,
} from "./classify-batch.ts";
import { COPY_ROWS, copyRows, type RowsOfLog } from "./copy-format.ts";
import { makePartitions, monthsReady } from "./partitions.ts";

/** A batch, and the device whose topic it came from. */
export interface Arrival {
  readonly device: string;
  readonly batch: Batch;
}

/**
 * What has become of a batch, and where its log stands: `appended` and `duplicate` are to be
 * acknowledged with this cursor, `gap` (send again from there), `fork` (the log is frozen, both
 * branches are kept) and `invalid` (it is a dead letter) to be refused. `limited` gets no answer: the
 * device has opened too many logs, and sends it again.
 */
export interface BatchOutcome {
  readonly kind: "appended" | "duplicate" | "gap" | "fork" | "limited" | "invalid";
  readonly cursor: Cursor;
  readonly reason: string | null;
}

/** "porchlog" as eight bytes. Appenders wait for this lock, so positions come in order of commits. */
export const LOCK_LOG = "SELECT pg_advisory_xact_lock(x'706f7263686c6f67'::bigint)";
const LOCK = prepared(
  "append_lock",
  `WITH locked AS MATERIALIZED (${LOCK_LOG}),
  moment AS MATERIALIZED (SELECT clock_timestamp() AS at FROM locked)
  SELECT (extract(epoch FROM at) * 1000000)::bigint AS received, ${monthsReady("at")} AS ready
  FROM moment`,
);
const HEADS = prepared(
  "append_heads",
  `SELECT log, device, head_seq AS seq, head_hash AS hash, frozen_at IS NOT NULL AS frozen
  FROM logs WHERE log = ANY ($1::uuid[]) FOR UPDATE`,
);
const LOG_COUNTS = prepared(
  "append_log_counts",
  `SELECT device, count(*) AS all,
    count(*) FILTER (WHERE created_at > clock_timestamp() - interval '1 hour') AS of_hour
  FROM logs WHERE device = ANY ($1::uuid[]) GROUP BY device`,
);
const HASHES = prepared(
  "append_hashes",
  `SELECT e.log, e.seq, e.hash FROM unnest($1::uuid[], $2::bigint[]) AS place (log, seq)
  JOIN event_log e ON e.log = place.log AND e.seq = place.seq`,
);
/** now() is the same for all logs of a commit: then a log could be listed before its parent. */
const NEW_LOG = prepared(
  "append_new_log",
  `INSERT INTO logs
  (log, device, parent_log, parent_seq, parent_hash, head_seq, head_hash, created_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())`,
);
const MOVE_HEADS = prepared(
  "append_move_heads",
  `UPDATE logs SET head_seq = moved.seq, head_hash = moved.hash
  FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS moved (log, seq, hash)
  WHERE logs.log = moved.log`,
);
const FREEZE = prepared(
  "append_freeze",
  "UPDATE logs SET frozen_at = coalesce(frozen_at, now()) WHERE log = $1",
);
/** Entries that are kept of a divergent branch: enough to see what happened. */
const FORK_ENTRIES_MAX = 10_000;
const FORK_BYTES_MAX = 16 * 1024 * 1024;
const KEEP_FORK = prepared(
  "append_keep_fork",
  `INSERT INTO forks (log, seq, hash, body)
  SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[])
  WHERE (SELECT count(*) < ${FORK_ENTRIES_MAX}
      AND coalesce(sum(octet_length(body)), 0) < ${FORK_BYTES_MAX} FROM forks WHERE log = $1)
  ON CONFLICT DO NOTHING`,
);
const DEAD_LETTER_ENTRIES = prepared(
  "append_dead_letter_entries",
  `INSERT INTO dead_letters (device, log, seq, reason, payload)
  SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::bytea[]) ON CONFLICT DO NOTHING`,
);

const receivedRow = z.tuple([z.object({ received: z.bigint(), ready: z.boolean() })]);
const hashColumn = z.instanceof(Buffer).transform((bytes) => bytes.toString("hex"));
const place = { log: z.string(), seq: z.bigint().transform(Number), hash: hashColumn };
const headRows = z.array(z.object({ ...place, device: z.string(), frozen: z.boolean() }));
const hashRows = z.array(z.object(place));
const integer = z.bigint().transform(Number);
const countRows = z.array(z.object({ device: z.string(), all: integer, of_hour: integer }));

/** Runs inside a transaction, which may be run again: nothing outside it changes. */
export async function appendAll(
  connection: Connection,
  arrivals: readonly Arrival[],
): Promise<readonly BatchOutcome[]> {
  const [{ received, ready }] = receivedRow.parse(await connection.query(LOCK));
  const commit = await prepare(connection, arrivals);
  const outcomes: BatchOutcome[] = [];
  for (const arrival of arrivals) outcomes.push(await commit.take(arrival));
  const rows = commit.rows();
  if (rows.length > 0) {
    if (!ready) await makePartitions(connection, received);
    await connection.copyIn(COPY_ROWS, copyRows(rows, received));
    await commit.moveHeads();
  }
  return outcomes;
}

async function prepare(connection: Connection, arrivals: readonly Arrival[]): Promise<GroupCommit> {
  const named = arrivals.flatMap(({ batch }) => [batch.log, parentOf(batch) ?? batch.log]);
  const known = headRows.parse(await connection.query(HEADS, [[...new Set(named)]]));
  const heads = new Map(known.map((head) => [head.log, head]));
  const opening = arrivals.filter(({ batch }) => !heads.has(batch.log)).map(({ device }) => device);
  const counts = opening.length === 0 ? [] : await connection.query(LOG_COUNTS, [opening]);
  const logs = countRows
    .parse(counts)
    .map(({ device, all, of_hour: ofHour }) => [device, { all, ofHour }] as const);
  const places = arrivals.flatMap(({ batch }) =>
    claimedPlaces(batch, heads.get(batch.log) ?? null),
  );
  const columns = [places.map(({ log }) => log), places.map(({ seq }) => seq)];
  const found = places.length === 0 ? [] : await connection.query(HASHES, columns);
  const hashes = hashRows
    .parse(found)
    .map(({ log, seq, hash }) => [placeKey(log, seq), hash] as const);
  return new GroupCommit({ connection, heads, hashes: new Map(hashes), logs: new Map(logs) });
}

type LogCounts = Known["logs"];

interface Prepared {
  readonly connection: Connection;
  readonly heads: Map<string, LogHead>;
  readonly hashes: ReadonlyMap<string, string>;
  /** By the device. */
  readonly logs: Map<string, LogCounts>;
}

/** Heads as they will be after this commit, and the rows that go into it. */
class GroupCommit {
  readonly #connection: Connection;
  readonly #heads: Map<string, LogHead>;
  readonly #hashes: ReadonlyMap<string, string>;
  readonly #logs: Map<string, LogCounts>;
  readonly #rows: RowsOfLog[] = [];

  constructor({ connection, heads, hashes, logs }: Prepared) {
    this.#connection = connection;
    this.#heads = heads;
    this.#hashes = hashes;
    this.#logs = logs;
  }

  async take({ device, batch }: Arrival): Promise<BatchOutcome> {
    const head = this.#heads.get(batch.log) ?? null;
    const named = head === null ? this.#heads.get(parentOf(batch) ?? "") : undefined;
    const parent = named?.device === device ? named : null;
    const logs = this.#logsOf(device);
    const classified = classifyBatch(batch, device, { head, parent, logs, hashAt: this.#hashAt });
    switch (classified.kind) {
      case "append":
        return {
          kind: "appended",
          cursor: await this.#append(device, batch.log, classified),
          reason: null,
        };
      case "duplicate":
      case "gap":
      case "limited":
        return { ...classified, reason: null };
      case "fork":
        await this.#freeze(batch.log, classified.entries);
        return { kind: "fork", cursor: classified.cursor, reason: null };
      case "invalid":
        return classified;
    }
  }

  #logsOf(device: string): LogCounts {
    return this.#logs.get(device) ?? { all: 0, ofHour: 0 };
  }

  /** A hash that is stored already, or with this commit. */
  readonly #hashAt = (log: string, seq: number): string | undefined => {
    const stored = this.#hashes.get(placeKey(log, seq));
    if (stored !== undefined) return stored;
    for (const { log: other, entries } of this.#rows) {
      const entry = other === log ? entries[seq - (entries[0]?.seq ?? 0)] : undefined;
      if (entry !== undefined) return entry.hash.toString("hex");
    }
    return undefined;
  };

  rows(): readonly RowsOfLog[] {
    return this.#rows;
  }

  async moveHeads(): Promise<void> {
    const moved = [...new Set(this.#rows.map(({ log }) => log))].flatMap((log) => {
      const head = this.#heads.get(log);
      return head === undefined ? [] : [head];
    });
    await this.#connection.query(MOVE_HEADS, [
      moved.map(({ log }) => log),
      moved.map(({ seq }) => seq),
      moved.map(({ hash }) => Buffer.from(hash, "hex")),
    ]);
  }

  async #append(
    device: string,
    log: string,
    { entries, parent }: BatchClass & { readonly kind: "append" },
  ): Promise<Cursor> {
    const last = entries.at(-1);
    invariant(last !== undefined, "what is appended holds an entry");
    const cursor = { log, seq: last.seq, hash: last.hash.toString("hex") };
    if (!this.#heads.has(log)) {
      const from =
        parent === null
          ? [null, null, null]
          : [parent.log, parent.seq, Buffer.from(parent.hash, "hex")];
      await this.#connection.query(NEW_LOG, [log, device, ...from, last.seq, last.hash]);
      const { all, ofHour } = this.#logsOf(device);
      this.#logs.set(device, { all: all + 1, ofHour: ofHour + 1 });
    }
    this.#heads.set(log, { ...cursor, device, frozen: false });
    this.#rows.push({ log, entries });
    await this.#keepAsDeadLetters(device, log, entries);
    return cursor;
  }

  /** An entry that is none keeps its place in the chain; its bytes go where a person finds them. */
  async #keepAsDeadLetters(
    device: string,
    log: string,
    entries: readonly BatchEntry[],
  ): Promise<void> {
    const bad = entries.filter(({ fault }) => fault !== null);
    if (bad.length === 0) return;
    await this.#connection.query(DEAD_LETTER_ENTRIES, [
      device,
      log,
      bad.map(({ seq }) => seq),
      bad.map(({ fault }) => plainLine(fault ?? "")),
      bad.map(({ body }) => body),
    ]);
  }

  async #freeze(log: string, entries: readonly BatchEntry[]): Promise<void> {
    const head = this.#heads.get(log);
    if (head !== undefined) this.#heads.set(log, { ...head, frozen: true });
    await this.#connection.query(FREEZE, [log]);
    await this.#connection.query(KEEP_FORK, [
      log,
      entries.map(({ seq }) => seq),
      entries.map(({ hash }) => hash),
      entries.map(({ body }) => body),
    ]);
  }
}

function placeKey(log: string, seq: number): string {
  return `${log}:${seq}`;
}
