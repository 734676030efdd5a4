/** What a batch is to a log whose head is known: pure, so that every case can be shown. */

import { type Cursor, GENESIS_HASH, startOf } from "../../shared/log/cursor.ts";
import { ENTRY_DATA } from "../../shared/log/entry.ts";
import type { Batch, BatchEntry } from "../../shared/protocol/batch.ts";

/** A log as its row says. */
export interface LogHead {
  readonly log: string;
  readonly device: string;
  readonly seq: number;
  readonly hash: string;
  readonly frozen: boolean;
}

/** What is known when a batch of `device` is judged. */
export interface Known {
  /** The log of the batch, if it is known. */
  readonly head: LogHead | null;
  /** The log of the device that the batch names as its parent; null where it is not known. */
  readonly parent: LogHead | null;
  /** Logs that the device has: all of them, and those of the last hour. */
  readonly logs: { readonly all: number; readonly ofHour: number };
  /** The hash at a place that the batch or its parent claims; undefined when it was archived. */
  hashAt(log: string, seq: number): string | undefined;
}

/** `cursor` is where the log stands now: what an acknowledgement or a refusal names. */
export type BatchClass =
  | {
      readonly kind: "append";
      readonly entries: readonly BatchEntry[];
      readonly parent: Cursor | null;
    }
  | { readonly kind: "duplicate"; readonly cursor: Cursor }
  | { readonly kind: "gap"; readonly cursor: Cursor }
  | { readonly kind: "fork"; readonly cursor: Cursor; readonly entries: readonly BatchEntry[] }
  /** It would open a log, and the device has opened too many. */
  | { readonly kind: "limited"; readonly cursor: Cursor }
  | { readonly kind: "invalid"; readonly cursor: Cursor; readonly reason: string };

/** Places whose hash decides about this batch: where it overlaps the log, and its parent's. */
export function claimedPlaces(
  batch: Batch,
  head: LogHead | null,
): readonly { readonly log: string; readonly seq: number }[] {
  if (head === null) {
    const parent = openingOf(batch)?.parent ?? null;
    return parent === null ? [] : [parent];
  }
  const { first, last } = spanOf(batch);
  const to = Math.min(last, head.seq);
  return to < first ? [] : range(first, to).map((seq) => ({ log: batch.log, seq }));
}

/** A device opens a log when it is set up, after a restored backup, and when a person says so. */
export const LOGS_PER_DEVICE_MAX = 1_000;
export const LOGS_PER_HOUR_MAX = 24;

export function classifyBatch(batch: Batch, device: string, known: Known): BatchClass {
  const { head } = known;
  if (head === null) return classifyNew(batch, device, known);
  if (head.device !== device) return invalid(startOf(batch.log), "its log is another device's");
  const { first, last } = spanOf(batch);
  const cursor = { log: head.log, seq: head.seq, hash: head.hash };
  if (first > head.seq + 1) return { kind: "gap", cursor };
  const other = firstDivergent(batch, head, known);
  // Bytes that are no entry of the place they claim are no divergent history: a header was damaged.
  if (other !== null && batch.entries.some(({ seq, fault }) => seq === other && fault !== null)) {
    return invalid(cursor, `entry ${other} is none, and does not follow what is here`);
  }
  if (other !== null) {
    return { kind: "fork", cursor, entries: batch.entries.filter(({ seq }) => seq >= other) };
  }
  if (last <= head.seq) return { kind: "duplicate", cursor };
  const entries = batch.entries.slice(head.seq + 1 - first);
  return head.frozen
    ? { kind: "fork", cursor, entries }
    : { kind: "append", entries, parent: null };
}

/** The first seq at which the batch diverges from the log, or null. */
function firstDivergent(
  { log, previous, entries }: Batch,
  head: LogHead,
  { hashAt }: Pick<Known, "hashAt">,
): number | null {
  for (const { seq, hash } of entries) {
    if (seq > head.seq) break;
    // A place that was archived and dropped can no longer be compared: it was, when it came.
    const stored = seq === head.seq ? head.hash : hashAt(log, seq);
    if (stored !== undefined && stored !== hash.toString("hex")) return seq;
  }
  const first = entries[0]?.seq ?? 0;
  const follows = first !== head.seq + 1 || previous.toString("hex") === head.hash;
  return follows ? null : first;
}

function classifyNew(batch: Batch, device: string, known: Known): BatchClass {
  const { parent: before, logs, hashAt } = known;
  const start = startOf(batch.log);
  if (spanOf(batch).first !== 1) return { kind: "gap", cursor: start };
  const opening = openingOf(batch);
  if (opening === null || batch.previous.toString("hex") !== GENESIS_HASH) {
    return invalid(start, "its first entry does not open a log");
  }
  if (opening.device !== device) return invalid(start, "it was opened by another device");
  const { parent } = opening;
  const limited = logs.all >= LOGS_PER_DEVICE_MAX || logs.ofHour >= LOGS_PER_HOUR_MAX;
  const append: BatchClass = limited
    ? { kind: "limited", cursor: start }
    : { kind: "append", entries: batch.entries, parent };
  if (parent === null) {
    return logs.all === 0 ? append : invalid(start, "it names no parent, and the device has a log");
  }
  // What the parent held up to there has to come first, or it would be missing for ever.
  if (before === null) return { kind: "gap", cursor: startOf(parent.log) };
  if (parent.seq > before.seq) {
    return { kind: "gap", cursor: { log: before.log, seq: before.seq, hash: before.hash } };
  }
  const stored = parent.seq === before.seq ? before.hash : hashAt(parent.log, parent.seq);
  return stored === undefined || stored === parent.hash
    ? append
    : invalid(start, `its parent has another entry ${parent.seq}`);
}

/** The log that a batch names as the one before its own. */
export function parentOf(batch: Batch): string | null {
  return openingOf(batch)?.parent?.log ?? null;
}

/** What the first entry says of its log, if it is the opening of one. */
function openingOf({ entries }: Batch) {
  const [first] = entries;
  if (first?.seq !== 1 || first.columns?.type !== "store.opened" || first.body === null)
    return null;
  const { data }: { data?: unknown } = Object(JSON.parse(first.body.toString("utf8")));
  return ENTRY_DATA["store.opened"].safeParse(data).data ?? null;
}

function spanOf({ entries }: Batch): { readonly first: number; readonly last: number } {
  return { first: entries[0]?.seq ?? 0, last: entries.at(-1)?.seq ?? 0 };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function invalid(cursor: Cursor, reason: string): BatchClass {
  return { kind: "invalid", cursor, reason };
}
