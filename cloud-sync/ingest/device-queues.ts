/**
 * What waits to be committed: a queue of each device, and devices in turn. A message is decoded when
 * it is its device's turn, and charged to its budget.
 */
import type { Batch } from "../../shared/protocol/batch.ts";
import type { LogBudget } from "../fairness/device-budget.ts";
import { BATCH_BYTES, NONSENSE_BYTES } from "../fairness/limits.ts";
import { ARRIVALS_MAX } from "../log/event-log.ts";
import type { Item } from "./reorder-buffer.ts";
import { tryDecodeBatch } from "./undecodable.ts";

/** An item that was decoded. */
export type Decoded = Item & { readonly batch: Batch };

/** 10,000 entries of 400 bytes: larger commits are no faster (docs/benchmarks.md). */
const COMMIT_BYTES_MAX = 8 * 1024 * 1024;
/** Memory overhead of an entry, besides its bytes. */
export const ENTRY_BYTES = 200;

export class DeviceQueues {
  readonly #budget: LogBudget | null;
  /** In the order of their turns: whoever was served is put at the end. */
  readonly #queues = new Map<string, Item[]>();
  /** Devices in a commit that is under way: what follows of one of them waits for its end. */
  readonly #busy = new Set<string>();

  constructor(budget: LogBudget | null) {
    this.#budget = budget;
  }

  push(item: Item): void {
    const queue = this.#queues.get(item.device);
    if (queue === undefined) this.#queues.set(item.device, [item]);
    else queue.push(item);
  }

  /** Puts items back to where they were taken from, in the order in which they were taken. */
  unshift(items: readonly Item[]): void {
    for (const item of items.toReversed()) {
      this.#queues.set(item.device, [item, ...(this.#queues.get(item.device) ?? [])]);
    }
  }

  /**
   * What goes into the next commit: what each device has, in turn, up to its share of it, so that
   * what overtook a message before it is together with that. They are busy until `done`.
   */
  nextGroup(): Item[] {
    const group: Item[] = [];
    let bytes = 0;
    const isFull = (): boolean => group.length >= ARRIVALS_MAX || bytes >= COMMIT_BYTES_MAX;
    for (const device of [...this.#queues.keys()]) {
      if (isFull()) break;
      if (this.#waitMs(device) > 0) continue;
      const most = this.#budget?.shareBytes(device) ?? COMMIT_BYTES_MAX;
      for (let share = 0; share < most && this.#queues.has(device) && !isFull(); ) {
        const [item, size] = this.#next(device);
        group.push(item);
        share += size;
        bytes += size;
      }
    }
    for (const { device } of group) this.#busy.add(device);
    return group;
  }

  /** The commit of these has ended. */
  done(group: readonly Item[]): void {
    for (const { device } of group) this.#busy.delete(device);
  }

  /** Until some device may be served; Infinity while all are, or nothing waits. */
  nextMs(): number {
    return [...this.#queues.keys()].reduce(
      (least, device) => Math.min(least, this.#waitMs(device)),
      Number.POSITIVE_INFINITY,
    );
  }

  #waitMs(device: string): number {
    if (this.#busy.has(device)) return Number.POSITIVE_INFINITY;
    return this.#budget?.waitMs(device) ?? 0;
  }

  /** The first message of a device that has one, read now, and what it costs. */
  #next(device: string): readonly [Item, number] {
    const [first, ...rest] = this.#queues.get(device) ?? [];
    this.#queues.delete(device);
    if (rest.length > 0) this.#queues.set(device, rest);
    if (first === undefined) throw new Error("invariant broken: no queue is empty");
    if (first.batch !== null) return [first, sizeOf(first.batch)];
    if (first.refused !== null) return [first, NONSENSE_BYTES];
    const read = tryDecodeBatch(first.payload);
    const size = read.batch === null ? NONSENSE_BYTES : sizeOf(read.batch);
    if (read.batch === null) this.#budget?.chargeNonsense(device);
    else this.#budget?.charge(device, size + BATCH_BYTES);
    const { batch } = read;
    return batch === null
      ? [{ ...first, refused: { reason: read.reason, cursor: null, nonce: null } }, size]
      : [{ ...first, batch, plainBytes: size }, size];
  }
}

function sizeOf({ entries }: Batch): number {
  return entries.reduce((sum, { body }) => sum + (body?.length ?? 0) + ENTRY_BYTES, 0);
}
