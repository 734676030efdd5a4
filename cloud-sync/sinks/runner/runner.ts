/**
 * Feeds a sink whose store is elsewhere from the log. What a sink need not know is here: order,
 * batches, retries, the circuit breaker, the cursor, the rejects, and that no other instance does it.
 */
import type { Clock } from "../../../shared/core/clock.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { Logger } from "../../../shared/core/logger.ts";
import { pause } from "../../../shared/core/retry.ts";
import type { CentralLog, StoredEntry } from "../../log/event-log.ts";
import type { LogPages } from "../../log/pages.ts";
import { type RejectedEntry, type Sink, withEntries } from "../sink.ts";
import { Condition, type ConditionOptions, type SinkRunner } from "./condition.ts";
import type { Held, SinkCursor } from "./cursors.ts";
import { withTimeout } from "./deadline.ts";
import { Lease } from "./lease.ts";

export interface RunnerOptions extends Omit<ConditionOptions, "cursor"> {
  readonly sink: Sink;
  readonly pages: LogPages;
  readonly log: Pick<CentralLog, "readAt">;
  readonly cursor: SinkCursor;
  readonly clock: Clock;
}

/** A commit costs the same for one entry as for many: 1,000 of 400 bytes are 400 kB. */
const BATCH_ENTRIES = 1_000;
/** After an outage, the store is tried with so many. */
const PROBE_ENTRIES = 10;
/** A store that has not answered for so long will not: a batch takes well under a second. */
const WRITE_TIMEOUT_MS = 60_000;

export function createSinkRunner(options: RunnerOptions): SinkRunner {
  const runner = new Runner(options);
  return { run: (signal) => runner.run(signal), stats: () => runner.condition.stats() };
}

class Runner {
  readonly condition: Condition;
  readonly #sink: Sink;
  readonly #options: RunnerOptions;
  readonly #logger: Logger;
  readonly #lease: Lease;
  /** Null: not known, and to be asked of the database. */
  #position: bigint | null = null;
  #incomplete = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#logger = options.logger.with({ sink: options.sink.name });
    this.condition = new Condition(options.sink.name, { ...options, logger: this.#logger });
    this.#lease = new Lease(options, this.#logger);
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      for (; !signal.aborted; await pause(this.condition.lookEveryMs, signal))
        await this.#holdLease(signal);
    } finally {
      await this.condition.bestEffort(() => this.#sink.close());
    }
  }

  /** As long as the row is held. A heartbeat holds it, also while the store takes its time. */
  async #holdLease(signal: AbortSignal): Promise<void> {
    if (!(await this.#lease.hold())) return;
    const lost = new AbortController();
    const ended = new AbortController();
    const leading = AbortSignal.any([signal, lost.signal]);
    const beating = this.#lease.beat(lost, AbortSignal.any([leading, ended.signal]));
    this.condition.leading = true;
    this.#position = null;
    try {
      while (!leading.aborted && (await this.#iterate(leading)));
    } finally {
      this.condition.leading = false;
      ended.abort();
      await beating;
      await this.condition.bestEffort(() => this.#options.cursor.release());
    }
  }

  /** One thing: open, write a batch, retry rejects, or wait. False when it is another's. */
  async #iterate(signal: AbortSignal): Promise<boolean> {
    const waitMs = this.condition.waitMs();
    if (waitMs > 0) {
      await pause(waitMs, signal);
      return true;
    }
    try {
      this.#position ??= await this.#openSink(signal);
      if (this.#position === null) return false;
      this.condition.position = this.#position;
      const moved =
        (await this.#advance(this.#position, signal)) ||
        (await this.#checkControl(this.#position, signal));
      await this.condition.succeeded();
      if (moved) return true;
    } catch (error) {
      this.#position = null;
      // Not ours any more, or to be reset: which of them is seen when it is opened again.
      const refused = error instanceof PorchlightError && error.code === "sink.lost";
      if (!signal.aborted && !refused) await this.condition.failed(error);
      return true;
    }
    await pause(this.condition.lookEveryMs, signal);
    return true;
  }

  /** Where to go on; null when another instance has taken over. */
  async #openSink(signal: AbortSignal): Promise<bigint | null> {
    const { cursor, pages } = this.#options;
    await this.#sink.open(signal);
    const held = await cursor.hold();
    if (held === null) return null;
    this.#incomplete = held.incomplete;
    if (!held.resetAsked) return held.position;
    await cursor.restart();
    pages.refresh();
    this.#logger.info("sink replays from the first entry");
    return 0n;
  }

  async #advance(from: bigint, signal: AbortSignal): Promise<boolean> {
    const limit = this.condition.closed ? BATCH_ENTRIES : PROBE_ENTRIES;
    const request = { limit, incomplete: this.#incomplete };
    const { entries, upTo } = await this.#options.pages.next(from, request);
    if (upTo === null) return false;
    const rejected = entries.length === 0 ? [] : await this.#write(entries, signal);
    const written = entries.length - rejected.length;
    await this.#options.cursor.settle({ position: upTo, written, rejected });
    this.#position = upTo;
    this.condition.position = upTo;
    this.condition.count(written, rejected);
    return true;
  }

  /** What a person asks of a sink that has nothing else to do (control.ts). */
  async #checkControl(position: bigint, signal: AbortSignal): Promise<boolean> {
    const held: Held | null = await this.#options.cursor.hold();
    if (held === null || held.resetAsked) this.#position = null;
    if (this.#position === null) return true;
    return held?.again === true && (await this.#retryRejects(position, signal));
  }

  /** Rejects, one by one: each was rejected once, and may be again. */
  async #retryRejects(position: bigint, signal: AbortSignal): Promise<boolean> {
    const { cursor, log } = this.#options;
    for (const place of await cursor.again(PROBE_ENTRIES)) {
      const there = await log.readAt([place]);
      const rejected = there.length === 0 ? [] : await this.#write(there, signal);
      const accepted = rejected.length === 0 ? [place] : [];
      await cursor.settle({ position, written: accepted.length, rejected, accepted });
      this.condition.count(accepted.length, []);
    }
    return true;
  }

  async #write(
    batch: readonly StoredEntry[],
    signal: AbortSignal,
  ): Promise<readonly RejectedEntry[]> {
    const { rejected } = await withTimeout(WRITE_TIMEOUT_MS, signal, (inTime) =>
      this.#sink.write(batch, inTime),
    );
    signal.throwIfAborted();
    return withEntries(rejected, batch);
  }
}
