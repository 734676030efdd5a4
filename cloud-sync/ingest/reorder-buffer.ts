/**
 * Batches that came ahead of the one before them: several connections, or several instances, pass
 * on what one device has sent in a row. They are looked at again when their log has moved, and from
 * time to time because another instance may have moved it.
 */
import type { Cursor } from "../../shared/log/cursor.ts";
import type { Batch } from "../../shared/protocol/batch.ts";

/** A message on its way into the log. */
export interface Item {
  readonly device: string;
  readonly payload: Buffer;
  /** Decoded when it is its turn; null before, and where it is none. */
  readonly batch: Batch | null;
  /** Why it is a dead letter; where its log stands then, and its nonce, where that is known. */
  readonly refused: {
    readonly reason: string;
    readonly cursor: Cursor | null;
    readonly nonce: string | null;
  } | null;
  /** What it takes in memory, about. */
  readonly bytes: number;
  /** The same of its entries, once it is decoded; 0 before. */
  readonly plainBytes: number;
  /** When it was first found to be early, monotonic ms; null when it never was. */
  readonly earlySinceMs: number | null;
  /** How often it was looked at since. */
  readonly looks: number;
}

/** A connection that is slower than its neighbour is so by milliseconds; then it was lost. */
export const WAIT_MS = 1_000;
/** As many as a device has in flight (edge/sync/session.ts), twice. */
const OF_ONE_DEVICE_MAX = 16;
const BYTES_OF_ONE_DEVICE_MAX = 8 * 1024 * 1024;
/** A fleet that comes back at once over two connections: each has one that overtook another. */
const MESSAGES_MAX = 2_048;
const BYTES_MAX = 64 * 1024 * 1024;
const LOOK_AGAIN_MS = 10;

interface Early {
  readonly item: Item;
  readonly log: string;
  readonly dueMs: number;
}

export class ReorderBuffer {
  #early: Early[] = [];
  #bytes = 0;

  get messages(): number {
    return this.#early.length;
  }

  /** Keeps a batch until `log` has moved. False when it has waited long enough, or there is no room. */
  add(item: Item, log: string, nowMs: number): boolean {
    const sinceMs = item.earlySinceMs ?? nowMs;
    const own = this.#early.filter((each) => each.item.device === item.device);
    const ownBytes = own.reduce((sum, each) => sum + sizeOf(each.item), sizeOf(item));
    const isFull = own.length >= OF_ONE_DEVICE_MAX || ownBytes > BYTES_OF_ONE_DEVICE_MAX;
    const room = this.#early.length < MESSAGES_MAX && this.#bytes + sizeOf(item) <= BYTES_MAX;
    if (nowMs - sinceMs >= WAIT_MS || isFull || !room) return false;
    const dueMs = Math.min(sinceMs + WAIT_MS, nowMs + LOOK_AGAIN_MS * 2 ** item.looks);
    const held = { ...item, earlySinceMs: sinceMs, looks: item.looks + 1 };
    this.#early.push({ item: held, log, dueMs });
    this.#bytes += sizeOf(item);
    return true;
  }

  /** Takes out what is to be looked at now. */
  takeDue(nowMs: number): Item[] {
    return this.#take(({ dueMs }) => dueMs <= nowMs);
  }

  /** Takes out what waited for this log. */
  takeOf(log: string): Item[] {
    return this.#take((each) => each.log === log);
  }

  /** When something is due, monotonic ms; Infinity when nothing waits. */
  nextMs(): number {
    return this.#early.reduce(
      (least, { dueMs }) => Math.min(least, dueMs),
      Number.POSITIVE_INFINITY,
    );
  }

  #take(wanted: (early: Early) => boolean): Item[] {
    const taken = this.#early.filter(wanted);
    this.#early = this.#early.filter((each) => !wanted(each));
    for (const { item } of taken) this.#bytes -= sizeOf(item);
    return taken.map(({ item }) => item);
  }
}

function sizeOf({ bytes, plainBytes }: Item): number {
  return bytes + plainBytes;
}
