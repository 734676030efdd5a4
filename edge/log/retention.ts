/**
 * Retention: keeps log.db within its budget by shedding the content that the owner's policy names, oldest
 * first, and says so in the log. What the centre has acknowledged is always the oldest, so it goes
 * first. Places and hashes stay, and so does everything that no policy names.
 */
import { z } from "zod";
import type { Clock } from "../../shared/core/clock.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import type { EntryType } from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { EventLog } from "./event-log.ts";

/** What may be shed, by the names of the configuration. */
export const SHEDDABLE = {
  telemetry: "telemetry.sampled",
  media: "media.captured",
  crops: "crop.captured",
} as const satisfies Record<string, EntryType>;
type Sheddable = keyof typeof SHEDDABLE;

export function isSheddable(type: EntryType): boolean {
  return Object.values<EntryType>(SHEDDABLE).includes(type);
}

export interface BufferPolicy {
  readonly maxMiB: number;
  readonly maxDays: number;
  /** Nothing younger is shed for the budget's sake; default 0. */
  readonly minHours?: number;
  /** In the order in which it goes. */
  readonly shed: readonly Sheddable[];
}

export interface BufferUse {
  /** Pages of log.db that hold something. */
  readonly usedBytes: number;
  /** Pages that are free to be written again: the file does not shrink, and need not grow. */
  readonly freeBytes: number;
}

export interface Retention {
  use(): BufferUse;
  /**
   * One bounded step. `shed`: there may be more to do at once. `over`: nothing is left that may go.
   * `wantedFreeBytes`: free pages that are needed whatever the budget says, on a disk that is full.
   */
  step(policy: BufferPolicy, wantedFreeBytes?: number): "within" | "shed" | "over";
}

export interface RetentionOptions {
  readonly database: Database;
  readonly log: Pick<EventLog, "appendWith" | "head">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** The last place that is known to be older; null where none is. */
  readonly olderThan: (ageMs: number) => { readonly log: string; readonly seq: number } | null;
}

/** It begins here and goes on to there: few large steps wear a card less than many small ones. */
const BEGIN = 0.95;
const END = 0.9;
/** A step holds the log for some 30 ms on two busy cores (test/bench/backlog.bench.ts). */
const ENTRIES_MAX = 250;
const LOOKED_AT_MAX = 2_500;
const BYTES_MAX = 2 * 1024 * 1024;
/** Keeps the entry that says what is missing below a few kilobytes. */
const RANGES_MAX = 200;

/** Age is looked at this often: what has moved is written down, and days pass slowly. */
const AGE_EVERY_MS = 3_600_000;

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

export function createRetention(options: RetentionOptions): Retention {
  const { database, clock, olderThan } = options;
  const shed = createShedder(options);
  let emptying = false;
  let agedMs = Number.NEGATIVE_INFINITY;
  const use = (): BufferUse => {
    const pragma = (name: string): number => Number(database.pragma(name, { simple: true }));
    const pageBytes = pragma("page_size");
    const free = pragma("freelist_count");
    return {
      usedBytes: (pragma("page_count") - free) * pageBytes,
      freeBytes: free * pageBytes,
    };
  };
  return {
    use,
    step(policy, wantedFreeBytes = 0) {
      const { usedBytes, freeBytes } = use();
      const budget = policy.maxMiB * MIB;
      if (usedBytes > budget * BEGIN) emptying = true;
      if (usedBytes <= budget * END) emptying = false;
      const tooMuch = emptying || freeBytes < wantedFreeBytes;
      const due = clock.monotonicMs() - agedMs >= AGE_EVERY_MS;
      if (!tooMuch && !due) return "within";
      const { minHours = 0, maxDays } = policy;
      const ageMs = tooMuch ? minHours * HOUR_MS : maxDays * DAY_MS;
      const upTo = ageMs === 0 ? "head" : olderThan(ageMs);
      for (const name of policy.shed) if (shed(SHEDDABLE[name], upTo)) return "shed";
      if (due) agedMs = clock.monotonicMs();
      return tooMuch ? "over" : "within";
    },
  };
}

const looked = z.tuple([z.int(), z.int(), z.int().nullable()]);
const placeRow = z.object({ log: z.string(), first: z.int(), end: z.int() });

interface Candidate {
  readonly position: number;
  readonly bytes: number;
}

/** What one look has found, and how far it went. */
interface Look {
  readonly found: readonly Candidate[];
  readonly to: number;
}

type UpTo = ReturnType<RetentionOptions["olderThan"]> | "head";

/** Empties entries of a type up to a place (null: none); says whether it moved on. */
function createShedder({ database, log }: RetentionOptions) {
  const place = database.prepare(
    `SELECT uuid AS log, first_position AS first, (SELECT max(position) FROM entries) AS end
     FROM logs ORDER BY id DESC LIMIT 1`,
  );
  const done = database.prepare("SELECT position FROM shed WHERE type = ?").pluck();
  const move = database.prepare(
    `INSERT INTO shed (type, position) VALUES (?, ?)
     ON CONFLICT (type) DO UPDATE SET position = excluded.position`,
  );
  const look = createLook(database);
  const hashOf = database.prepare("SELECT hash FROM entries WHERE position = ?").pluck();
  const remove = database.prepare("DELETE FROM entries WHERE position = ?");
  const restore = database.prepare("INSERT INTO entries (position, hash) VALUES (?, ?)");

  return (type: EntryType, upTo: UpTo): boolean => {
    if (upTo === null) return false;
    let moved = false;
    log.appendWith(() => {
      const { log: current, first, end: last } = placeRow.parse(place.get());
      if (upTo !== "head" && upTo.log !== current) return [];
      const end = upTo === "head" ? last : Math.min(last, first + upTo.seq - 1);
      // Only in the log of now: one that is closed takes no entry that would explain it.
      const from = Math.max(first - 1, z.int().optional().parse(done.get(type)) ?? 0);
      const { found, to } = look({ type, from, end });
      moved = to > from;
      if (moved) move.run(type, to);
      // Deleted and written again, all at once: SQLite joins pages when rows go, never when they
      // shrink, and without that no page would ever become free (measured: 0 of 2,867, and 1,888).
      const hashes = found.map(({ position }) => hashOf.get(position));
      for (const { position } of found) remove.run(position);
      for (const [i, { position }] of found.entries()) restore.run(position, hashes[i]);
      return found.length === 0 ? [] : [draftOf(type, found, first)];
    });
    return moved;
  };
}

interface Where {
  readonly type: EntryType;
  /** Looked at is what follows this position, up to and with `end`. */
  readonly from: number;
  readonly end: number;
}

function createLook(database: Database) {
  // A type stands at the end of its entry, where no text inside `data` can imitate it.
  const rows = database
    .prepare<{ type: string; from: number; end: number }, unknown>(
      `SELECT position, coalesce(substr(body, -length(@type)) = @type, 0),
         length(CAST(body AS BLOB))
       FROM entries WHERE position > @from AND position <= @end ORDER BY position LIMIT ${LOOKED_AT_MAX}`,
    )
    .raw();
  return ({ type, from, end }: Where): Look => {
    const found: Candidate[] = [];
    let to = from;
    let bytes = 0;
    let ranges = 0;
    for (const row of rows.iterate({ type: `"type":"${type}"}`, from, end })) {
      const [position, isOfType, length] = looked.parse(row);
      bytes += length ?? 0;
      if (isOfType === 1 && length !== null) {
        if (found.at(-1)?.position !== position - 1) ranges++;
        if (ranges > RANGES_MAX) break;
        found.push({ position, bytes: length });
      }
      to = position;
      if (found.length === ENTRIES_MAX || bytes > BYTES_MAX) break;
    }
    return { found, to };
  };
}

function draftOf(type: EntryType, found: readonly Candidate[], first: number): AnyDraft {
  const ranges: [number, number][] = [];
  for (const { position } of found) {
    const seq = position - first + 1;
    const last = ranges.at(-1);
    if (last?.[1] === seq - 1) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  const [from, to] = [ranges[0]?.[0] ?? 0, ranges.at(-1)?.[1] ?? 0];
  const bytes = found.reduce((sum, each) => sum + each.bytes, 0);
  const data = { bytes, count: found.length, from, to, types: [type] };
  return {
    type: "buffer.shed",
    actor: "device",
    data: ranges.length === 1 ? data : { ...data, ranges },
  };
}
