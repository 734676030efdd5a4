/**
 * Feeds one sink from the log. What a sink need not know is here: order, batches, retries, the
 * circuit breaker, the cursor, the shelf of what was rejected, and that no other instance does it.
 */
import {
  type Breaker,
  type BreakerLimits,
  breakerAt,
  CLOSED,
  failed,
} from "../../../shared/core/breaker.ts";
import type { Clock } from "../../../shared/core/clock.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { Logger } from "../../../shared/core/logger.ts";
import { pause } from "../../../shared/core/retry.ts";
import type { CentralLog, EntryPage, StoredEntry } from "../../log/event-log.ts";
import { type AnySink, codeOf, type Rejection, StoreBusy, withEntries } from "../sink.ts";
import type { SinkCursor } from "./cursors.ts";
import { withTimeout } from "./deadline.ts";
import { Lease } from "./lease.ts";
import { SinkMaintenance } from "./maintenance.ts";

export interface RunnerOptions {
  readonly sink: AnySink;
  readonly log: Pick<CentralLog, "readAfter" | "readByType">;
  readonly cursor: SinkCursor;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits?: BreakerLimits;
}

/** What a runner has done since it was made; the rest stands in the database (control.ts). */
export interface SinkStats {
  readonly name: string;
  readonly running: "waiting" | "leading";
  readonly position: bigint;
  readonly written: number;
  readonly rejected: number;
  readonly breaker: Breaker["kind"];
  readonly errorCode: string | null;
}

export interface SinkRunner {
  /** Until the signal is aborted. Whatever the store does, it does not throw. */
  run(signal: AbortSignal): Promise<void>;
  stats(): SinkStats;
}

/** A commit costs the same for one entry as for many: 1,000 of 400 bytes are 400 kB. */
const BATCH_ENTRIES = 1_000;
/** Positions looked at for each entry of a batch, where a sink wants some types alone. */
const PASSED_OVER = 10;
/** After an outage, the store is tried with so many. */
const PROBE_ENTRIES = 10;
/** How much later than the log a sink may be when nothing is wrong. */
const LOOK_EVERY_MS = 500;
/** A store that has not answered for so long will not: a batch takes well under a second. */
const WRITE_TIMEOUT_MS = 60_000;
/** Three in a row are no hiccup. A store that comes back is found within a minute. */
const LIMITS: BreakerLimits = {
  failuresMax: 3,
  retry: { firstMs: 100, maxMs: 1_000 },
  open: { firstMs: 1_000, maxMs: 60_000 },
};

export function createSinkRunner(options: RunnerOptions): SinkRunner {
  const runner = new Runner(options);
  return { run: (signal) => runner.run(signal), stats: () => runner.stats() };
}

class Runner {
  readonly #sink: AnySink;
  readonly #options: RunnerOptions;
  readonly #logger: Logger;
  readonly #limits: BreakerLimits;
  readonly #maintenance: SinkMaintenance;
  readonly #lease: Lease;
  #breaker: Breaker = CLOSED;
  /** Null: not known, and to be asked of the database and of the store. */
  #position: bigint | null = null;
  #lastPosition = 0n;
  #leading = false;
  #written = 0;
  #rejected = 0;
  #errorCode: string | null = null;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#logger = options.logger.with({ sink: options.sink.name });
    this.#limits = options.limits ?? LIMITS;
    this.#maintenance = new SinkMaintenance(options);
    this.#lease = new Lease(options, this.#logger);
  }

  stats(): SinkStats {
    return {
      name: this.#sink.name,
      running: this.#leading ? "leading" : "waiting",
      position: this.#lastPosition,
      written: this.#written,
      rejected: this.#rejected,
      breaker: breakerAt(this.#breaker, this.#now()).kind,
      errorCode: this.#errorCode,
    };
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      for (; !signal.aborted; await pause(LOOK_EVERY_MS, signal)) await this.#holdLease(signal);
    } finally {
      await this.#bestEffort(() => this.#sink.close());
    }
  }

  /** As long as the row is held. A heartbeat holds it, also while the store takes its time. */
  async #holdLease(signal: AbortSignal): Promise<void> {
    if (!(await this.#lease.hold())) return;
    const lost = new AbortController();
    const ended = new AbortController();
    const leading = AbortSignal.any([signal, lost.signal]);
    const beating = this.#lease.beat(lost, AbortSignal.any([leading, ended.signal]));
    this.#leading = true;
    this.#position = null;
    try {
      while (!leading.aborted && (await this.#iterate(leading)));
    } finally {
      this.#leading = false;
      ended.abort();
      await beating;
      await this.#bestEffort(() => this.#options.cursor.release());
    }
  }

  /** One thing: open, write a batch, try shelved ones again, or wait. False when it is another's. */
  async #iterate(signal: AbortSignal): Promise<boolean> {
    const waitMs = this.#breaker.notBefore - this.#now();
    if (waitMs > 0) {
      await pause(Math.min(waitMs, LOOK_EVERY_MS), signal);
      return true;
    }
    this.#breaker = breakerAt(this.#breaker, this.#now());
    try {
      this.#position ??= await this.#openSink(signal);
      if (this.#position === null) return false;
      this.#lastPosition = this.#position;
      const moved =
        (await this.#advance(this.#position, signal)) ||
        (await this.#checkControl(this.#position, signal)) ||
        (await this.#catchUpKeys(this.#position, signal));
      await this.#succeeded();
      const maintained = await this.#maintenance.maintain(signal);
      if (moved || maintained) return true;
    } catch (error) {
      this.#position = null;
      // Not ours any more, or to be reset: which of them is seen when it is opened again.
      const refused = error instanceof PorchlightError && error.code === "sink.lost";
      if (!signal.aborted && !refused) await this.#failed(error);
      return true;
    }
    await pause(LOOK_EVERY_MS, signal);
    return true;
  }

  /**
   * Where to go on; null when another instance has taken over. A store that has less than the
   * cursor says was restored: it knows better.
   */
  async #openSink(signal: AbortSignal): Promise<bigint | null> {
    const { cursor } = this.#options;
    await this.#sink.open(signal);
    const held = await cursor.hold();
    if (held === null) return null;
    if (held.resetAsked) {
      await this.#sink.reset?.();
      await cursor.restart();
      this.#logger.info("sink replays from the first entry");
      return 0n;
    }
    // Where it has more, the cursor was lost in a crash, and with it what was rejected: again, then.
    const own = (await this.#sink.position?.()) ?? held.position;
    if (own >= held.position) return held.position;
    this.#logger.warn("store was restored: replaying what it lacks");
    return own;
  }

  async #advance(from: bigint, signal: AbortSignal): Promise<boolean> {
    const limit = this.#breaker.kind === "closed" ? BATCH_ENTRIES : PROBE_ENTRIES;
    const { entries, upTo } = await this.#next(from, limit);
    if (upTo === null) return false;
    const rejected = entries.length === 0 ? [] : await this.#write(entries, signal);
    await this.#sink.advanceTo?.(upTo);
    const written = entries.length - rejected.length;
    await this.#options.cursor.settle({ position: upTo, written, rejected });
    this.#position = upTo;
    this.#lastPosition = upTo;
    this.#count(written, rejected);
    return true;
  }

  async #next(from: bigint, limit: number): Promise<EntryPage> {
    const { log } = this.#options;
    const { types } = this.#sink;
    if (types !== undefined) return log.readByType(types, from, limit * PASSED_OVER);
    const entries = await log.readAfter(from, limit);
    return { entries, upTo: entries.at(-1)?.position ?? null };
  }

  /** What a person asks of a sink that has nothing else to do (control.ts). */
  async #checkControl(position: bigint, signal: AbortSignal): Promise<boolean> {
    const held = await this.#options.cursor.hold();
    if (held === null || held.resetAsked) this.#position = null;
    if (this.#position === null) return true;
    return held?.again === true && (await this.#retryRejects(position, signal));
  }

  /** What was shelved, one by one: each was rejected once, and may be again. */
  async #retryRejects(position: bigint, signal: AbortSignal): Promise<boolean> {
    const { cursor, log } = this.#options;
    for (const place of await cursor.again(PROBE_ENTRIES)) {
      const [entry] = await log.readAfter(place - 1n, 1);
      const there = entry?.position === place ? [entry] : [];
      const rejected = there.length === 0 ? [] : await this.#write(there, signal);
      const accepted = rejected.length === 0 ? [place] : [];
      await cursor.settle({ position, written: accepted.length, rejected, accepted });
      this.#count(accepted.length, []);
    }
    return true;
  }

  async #catchUpKeys(position: bigint, signal: AbortSignal): Promise<boolean> {
    const rejected = await this.#maintenance.catchUp(position, signal);
    if (rejected !== null) this.#count(0, rejected);
    return rejected !== null;
  }

  async #write(
    batch: readonly StoredEntry[],
    signal: AbortSignal,
  ): Promise<readonly (Rejection & StoredEntry)[]> {
    const { rejected } = await withTimeout(WRITE_TIMEOUT_MS, signal, (inTime) =>
      this.#sink.write(batch, inTime),
    );
    signal.throwIfAborted();
    return withEntries(rejected, batch);
  }

  #count(written: number, rejected: readonly Rejection[]): void {
    this.#written += written;
    this.#rejected += rejected.length;
    const [first] = rejected;
    if (first === undefined) return;
    const { position, reason } = first;
    const fields = { count: rejected.length, position: String(position), reason };
    this.#logger.warn("entries rejected by the store", fields);
  }

  async #succeeded(): Promise<void> {
    if (this.#breaker === CLOSED && this.#errorCode === null) return;
    if (this.#breaker.kind !== "closed") this.#logger.info("sink recovered: store available");
    this.#breaker = CLOSED;
    this.#errorCode = null;
    await this.#options.cursor.note("closed", null);
  }

  async #failed(error: unknown): Promise<void> {
    const before = this.#breaker.kind;
    const afterMs = error instanceof StoreBusy ? error.afterMs : 0;
    const failure = { now: this.#now(), random: this.#options.random, afterMs };
    this.#breaker = failed(this.#breaker, failure, this.#limits);
    const code = codeOf(error);
    const stop = error instanceof PorchlightError && error.remedy === "stop";
    if (before === "closed" || code !== this.#errorCode) {
      const hint = error instanceof PorchlightError ? error.hint : undefined;
      const fields = { code, failures: this.#breaker.failures, hint };
      if (stop) this.#logger.error("sink stopped: operator action needed", fields);
      else this.#logger.warn("sink backing off: store unavailable", fields);
    }
    this.#errorCode = code;
    await this.#bestEffort(() => this.#options.cursor.note(this.#breaker.kind, code));
  }

  /** What is not worth failing for: the other end may be what is gone. */
  async #bestEffort(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#logger.warn("sink clean-up failed", { code: codeOf(error) });
    }
  }

  #now(): number {
    return this.#options.clock.monotonicMs();
  }
}
