/** Sink maintenance: idle work of a sink at intervals, and key changes that it follows. */
import type { Clock } from "../../../shared/core/clock.ts";
import type { StoredEntry } from "../../log/event-log.ts";
import { type AnySink, type Rejection, withEntries } from "../sink.ts";
import type { SinkCursor } from "./cursors.ts";
import { withTimeout } from "./deadline.ts";

export interface MaintenanceOptions {
  readonly sink: AnySink;
  readonly cursor: Pick<SinkCursor, "settle">;
  readonly clock: Pick<Clock, "monotonicMs">;
}

const MAINTAIN_EVERY_MS = 60_000;
/** A bounded step is over in a second or two; the next one is for the next time. */
const CATCH_UP_TIMEOUT_MS = 60_000;

export class SinkMaintenance {
  readonly #options: MaintenanceOptions;
  #maintainedMs = Number.NEGATIVE_INFINITY;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Whether it was time for it. */
  async maintain(signal: AbortSignal): Promise<boolean> {
    const { sink, clock } = this.#options;
    if (sink.maintain === undefined) return false;
    if (clock.monotonicMs() - this.#maintainedMs < MAINTAIN_EVERY_MS) return false;
    // Before, not after: what fails is tried again in a minute, and not in a loop.
    this.#maintainedMs = clock.monotonicMs();
    await sink.maintain(signal);
    return true;
  }

  /** New rejects among entries that were skipped before; null when no key had changed. */
  async catchUp(
    position: bigint,
    signal: AbortSignal,
  ): Promise<readonly (Rejection & StoredEntry)[] | null> {
    const { sink, cursor } = this.#options;
    if (sink.catchUp === undefined) return null;
    const step = async (inTime: AbortSignal) => (await sink.catchUp?.(inTime)) ?? null;
    const done = await withTimeout(CATCH_UP_TIMEOUT_MS, signal, step);
    if (done === null) return null;
    const rejected = withEntries(done.rejected, done.entries);
    if (rejected.length > 0) await cursor.settle({ position, written: 0, rejected });
    return rejected;
  }
}
