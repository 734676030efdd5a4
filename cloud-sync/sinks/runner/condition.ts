/** The condition of a sink: its circuit breaker, its last error, and what it has counted. */
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
import { codeOf, type Rejection, StoreBusy } from "../sink.ts";
import type { SinkCursor } from "./cursors.ts";

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

export interface ConditionOptions {
  readonly cursor: Pick<SinkCursor, "note">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits?: BreakerLimits;
  /** How much later than the log a sink may be when nothing is wrong (default: half a second). */
  readonly lookEveryMs?: number;
}

const LOOK_EVERY_MS = 500;
/** Three in a row are no hiccup. A store that comes back is found within a minute. */
const LIMITS: BreakerLimits = {
  failuresMax: 3,
  retry: { firstMs: 100, maxMs: 1_000 },
  open: { firstMs: 1_000, maxMs: 60_000 },
};

export class Condition {
  leading = false;
  position = 0n;
  readonly lookEveryMs: number;
  readonly #name: string;
  readonly #options: ConditionOptions;
  readonly #logger: Logger;
  readonly #limits: BreakerLimits;
  #breaker: Breaker = CLOSED;
  #written = 0;
  #rejected = 0;
  #errorCode: string | null = null;

  constructor(name: string, options: ConditionOptions) {
    this.#name = name;
    this.#options = options;
    this.#logger = options.logger;
    this.#limits = options.limits ?? LIMITS;
    this.lookEveryMs = options.lookEveryMs ?? LOOK_EVERY_MS;
  }

  stats(): SinkStats {
    return {
      name: this.#name,
      running: this.leading ? "leading" : "waiting",
      position: this.position,
      written: this.#written,
      rejected: this.#rejected,
      breaker: breakerAt(this.#breaker, this.#now()).kind,
      errorCode: this.#errorCode,
    };
  }

  /** How long nothing is tried, ms; from then on, a breaker that was open lets a probe through. */
  waitMs(): number {
    const waitMs = this.#breaker.notBefore - this.#now();
    if (waitMs <= 0) this.#breaker = breakerAt(this.#breaker, this.#now());
    return Math.min(Math.max(waitMs, 0), this.lookEveryMs);
  }

  get closed(): boolean {
    return this.#breaker.kind === "closed";
  }

  count(written: number, rejected: readonly Rejection[]): void {
    this.#written += written;
    this.#rejected += rejected.length;
    const [first] = rejected;
    if (first === undefined) return;
    const { position, reason } = first;
    const fields = { count: rejected.length, position: String(position), reason };
    this.#logger.warn("entries rejected by the store", fields);
  }

  async succeeded(): Promise<void> {
    if (this.#breaker === CLOSED && this.#errorCode === null) return;
    if (this.#breaker.kind !== "closed") this.#logger.info("sink recovered: store available");
    this.#breaker = CLOSED;
    this.#errorCode = null;
    await this.#options.cursor.note("closed", null);
  }

  async failed(error: unknown): Promise<void> {
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
    await this.bestEffort(() => this.#options.cursor.note(this.#breaker.kind, code));
  }

  /** What is not worth failing for: the other end may be what is gone. */
  async bestEffort(work: () => Promise<void>): Promise<void> {
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
