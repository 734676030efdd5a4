/** Optimistic concurrency: a check and the append that rests on it, in one transaction. */
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { bodyEnding, type EntryType } from "../../shared/log/entry.ts";
import type { EventLog } from "../log/event-log.ts";
import type { DiskReserve } from "../sqlite/disk-reserve.ts";

/** Null where entries of these types have come since, by another process too: nothing is appended. */
export type ConditionalAppend = (
  since: Cursor,
  types: readonly EntryType[],
  drafts: readonly AnyDraft[],
) => readonly Cursor[] | null;

/** Entries looked at in one go. */
const SCAN_LIMIT = 500;

export function conditionalAppend(parts: {
  readonly log: EventLog;
  readonly reserve: Pick<DiskReserve, "run">;
  readonly follow: () => void;
}): ConditionalAppend {
  const { log, reserve, follow } = parts;
  return (since, types, drafts) => {
    const change = (): readonly AnyDraft[] => (hasSince(log, since, types) ? [] : drafts);
    const cursors = reserve.run(() => log.appendWith(change));
    follow();
    return cursors.length === 0 ? null : cursors;
  };
}

/** Whether the log has entries of these types after that place, or is another log by now. */
function hasSince(log: EventLog, since: Cursor, types: readonly EntryType[]): boolean {
  if (log.head().log !== since.log) return true;
  const endings = types.map(bodyEnding);
  for (let { seq } = since; ; ) {
    const entries = log.readAfter(seq, SCAN_LIMIT);
    if (entries.some(({ body }) => endings.some((ending) => body?.endsWith(ending)))) return true;
    const last = entries.at(-1);
    if (last === undefined) return false;
    seq = last.seq;
  }
}
