import { canonicalEntry, chainHash, type Link } from "../../shared/log/chain.ts";
import { type Cursor, GENESIS_HASH, startOf } from "../../shared/log/cursor.ts";
import type { Entry } from "../../shared/log/entry.ts";
import { type Batch, decodeBatch, encodeBatch } from "../../shared/protocol/batch.ts";

/** An entry without its place. */
export type Fact = Omit<Entry, "log" | "seq">;

/** Another fact of the same kind for every number: about 400 bytes as an entry. */
export function visitLike(i: number): Fact {
  const visit = `7d8e4f6c-50c5-4a6b-9a3e-${i.toString(16).padStart(12, "0")}`;
  return {
    actor: "device",
    at: 1_790_000_000_000 + i * 1_000,
    clock: "synced",
    data: { durationMs: 2_000 + i, frames: i % 90, outcome: "known", reason: "absent", visit },
    monotonicMs: 5_120 + i * 1_000,
    sealed: null,
    subject: visit,
    type: "visit.ended",
  };
}

/** These facts as a log, chained. A fact given as text stands there as it is. */
export function logOf(
  log: string,
  facts: readonly (Fact | string)[],
  after: { readonly seq: number; readonly hash: string } = { seq: 0, hash: GENESIS_HASH },
): Link[] {
  let { seq, hash } = after;
  return facts.map((fact) => {
    seq++;
    const body = typeof fact === "string" ? fact : canonicalEntry({ ...fact, log, seq });
    hash = chainHash(hash, body);
    return { seq, hash, body };
  });
}

/** The first entry of a log of this device. */
export function opened(device: string, parent: Cursor | null = null): Fact {
  const data = { device, format: 1, parent };
  return { ...visitLike(0), data, subject: null, type: "store.opened" };
}

/** These entries as central receives them. */
export function batchOf(log: string, links: readonly Link[], before?: Link): Batch {
  const previous = before === undefined ? startOf(log) : { log, ...before };
  return decodeBatch(encodeBatch(previous, links).payload);
}
