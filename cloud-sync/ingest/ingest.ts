/**
 * Takes batches into the central log and says what has become of them: the centre's half of the
 * sync protocol, without a network in it.
 *
 *     take ─► window ─► queue of the device ─► group commit ─► ack
 *               ▲         devices in turn        │ early: waits for the batch before it ─► nack `gap`
 *               └────────────────────────────────┤ divergent history: log frozen        ─► nack `fork`
 *                                                └ no batch: a dead letter              ─► nack `invalid`
 *
 * What is in the window is in memory alone: its sender keeps it until the ack. Nothing of a message
 * is read before it is its device's turn, which its budget (cloud-sync/fairness) may put off.
 */

import type { Clock } from "../../shared/core/clock.ts";
import { invariant, messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import { createWakeSignal } from "../../shared/core/wake-signal.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { Batch } from "../../shared/protocol/batch.ts";
import type { Nack } from "../../shared/protocol/wire.ts";
import type { LogBudget } from "../fairness/device-budget.ts";
import { LOG_WAITING_BYTES, LOG_WAITING_MAX } from "../fairness/limits.ts";
import type { BatchOutcome } from "../log/append.ts";
import type { CentralLog } from "../log/event-log.ts";
import { type AdmissionLimits, AdmissionWindow } from "./admission-window.ts";
import { appendGroup } from "./append-group.ts";
import { type Decoded, DeviceQueues, ENTRY_BYTES } from "./device-queues.ts";
import { type Item, ReorderBuffer } from "./reorder-buffer.ts";
import { keepUndecodable } from "./undecodable.ts";

/** The centre holds everything of this log up to the cursor; or what it has to say against it. */
export type Answer = ({ readonly ack: Cursor } | { readonly nack: Nack }) & {
  /** Of the batch that is answered; null where that asks for no signature. */
  readonly nonce: string | null;
};

export interface IngestOptions {
  readonly log: Pick<CentralLog, "append" | "addDeadLetters" | "newest">;
  /**
   * Sends an answer to a device. A lost one is asked for again: this must neither wait nor throw.
   */
  readonly answer: (device: string, answer: Answer) => void;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Even in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly window?: AdmissionLimits;
  /** What a device may have committed; as much as it sends where there is none. */
  readonly budget?: LogBudget;
  /** A device sends nonsense, again and again. */
  readonly nonsense?: (device: string) => void;
  /** Called after each group commit: its entries, and how long it took. */
  readonly committed?: (entries: number, ms: number) => void;
}

export interface IngestStats {
  /** Messages in the admission window, and batches in the reorder buffer. */
  readonly inWindow: number;
  readonly early: number;
  readonly appendedEntries: number;
  readonly duplicates: number;
  readonly gaps: number;
  readonly forks: number;
  readonly invalid: number;
  /** Batches that would have opened a log of a device that has opened too many. */
  readonly limited: number;
  /** Batches of a device that has too many here already. */
  readonly dropped: number;
}

export interface Ingest {
  /**
   * Resolves once a message of this device's `log` topic is in the window: then the broker may
   * forget it. Throws when the signal is aborted before there was room. Where waiting would hold up
   * other devices (`shared`), what a device has too much of is dropped: it sends that again.
   */
  take(device: string, payload: Buffer, signal: AbortSignal, shared?: "shared"): Promise<void>;
  /**
   * One group commit, and its answers. False when there is nothing to do now. Throws a
   * PorchlightError of remedy `retry` when the database does not answer: nothing is lost by it.
   */
  commit(signal?: AbortSignal): Promise<boolean>;
  /** Commits until the signal is aborted. Throws only what is a mistake of the program. */
  run(signal: AbortSignal): Promise<void>;
  stats(): IngestStats;
}

/** Twelve times the bytes, and 256 times the messages, that one device may have here. */
const WINDOW: AdmissionLimits = { messages: 8_192, bytes: 96 * 1024 * 1024 };
const WINDOW_OF_DEVICE: AdmissionLimits = { messages: LOG_WAITING_MAX, bytes: LOG_WAITING_BYTES };
/** While the server writes one, the next is sent to it; it waits there for the lock. */
const COMMITS_AT_ONCE = 2;
const BACKOFF = { firstMs: 100, maxMs: 5_000 } as const;
/** Frozen logs whose fork was logged: beyond this number one may be logged twice. */
const FORKS_LOGGED_MAX = 10_000;

export function createIngest(options: IngestOptions): Ingest {
  return new LogIngest(options);
}

class LogIngest implements Ingest {
  readonly #options: IngestOptions;
  readonly #budget: LogBudget | null;
  readonly #window: AdmissionWindow;
  readonly #queues: DeviceQueues;
  readonly #reordering = new ReorderBuffer();
  readonly #wake = createWakeSignal();
  readonly #stats = {
    ...{ appendedEntries: 0, duplicates: 0, gaps: 0, forks: 0, invalid: 0, limited: 0, dropped: 0 },
  };
  /** Logs whose fork was logged: a device resends at each start, and with all that is in flight. */
  readonly #forksLogged = new Set<string>();

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#budget = options.budget ?? null;
    this.#queues = new DeviceQueues(this.#budget);
    const window = options.window ?? WINDOW;
    const ofDevice = this.#budget === null ? window : WINDOW_OF_DEVICE;
    this.#window = new AdmissionWindow({ ...window, ofDevice });
  }

  async take(device: string, payload: Buffer, signal: AbortSignal, shared?: "shared") {
    if (shared !== undefined && this.#window.isFullOf(device)) {
      this.#stats.dropped++;
      return;
    }
    const bytes = payload.length + ENTRY_BYTES;
    await this.#window.acquire(device, bytes, signal);
    const undecoded = { batch: null, refused: null, plainBytes: 0, earlySinceMs: null, looks: 0 };
    this.#queues.push({ device, payload, bytes, ...undecoded });
    this.#wake.notify();
  }

  async commit(signal?: AbortSignal): Promise<boolean> {
    this.#return(this.#reordering.takeDue(this.#options.clock.monotonicMs()));
    const taken = this.#queues.nextGroup();
    if (taken.length === 0) return false;
    const batches = taken.filter((item): item is Decoded => item.batch !== null);
    let left: readonly Item[] = taken;
    try {
      if (batches.length > 0) await this.#append(batches, signal);
      left = taken.filter(({ batch }) => batch === null);
      await this.#keepUndecodable(left);
      left = [];
    } finally {
      this.#queues.unshift(left);
      this.#queues.done(taken);
      this.#wake.notify();
    }
    return true;
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: COMMITS_AT_ONCE }, () => this.#work(signal)));
  }

  stats(): IngestStats {
    const { messages: inWindow } = this.#window;
    return { inWindow, early: this.#reordering.messages, ...this.#stats };
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { random, logger } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const heard = this.#wake.subscribe();
        const worked = await this.commit(signal);
        failures = 0;
        if (!worked) await heard.wait(this.#idleMs(), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!isPassing(error)) throw error;
        logger.warn("ingest paused: database unavailable", {
          code: systemCodeOf(error),
          reason: messageOf(error),
        });
        await pause(backoffMs(failures++, { ...BACKOFF, random }), signal);
      }
    }
  }

  async #append(batches: readonly Decoded[], signal?: AbortSignal): Promise<void> {
    const { clock, committed } = this.#options;
    const startedMs = clock.monotonicMs();
    const group = batches.toSorted((a, b) => firstOf(a.batch) - firstOf(b.batch));
    const outcomes = await appendGroup(group, this.#options, signal);
    const entries = batches.reduce((sum, { batch }) => sum + batch.entries.length, 0);
    committed?.(entries, clock.monotonicMs() - startedMs);
    this.#settle(group, outcomes);
  }

  async #keepUndecodable(items: readonly Item[]): Promise<void> {
    if (items.length === 0) return;
    const group = items.flatMap(({ device, payload, refused }) =>
      refused === null ? [] : [{ device, payload, ...refused }],
    );
    await keepUndecodable(group, this.#options);
    for (const { device, bytes } of items) {
      this.#window.release(device, bytes);
      this.#stats.invalid++;
      if (this.#budget?.nonsense(device)) this.#options.nonsense?.(device);
    }
  }

  /** Until something is due: a batch that came early, or a device that had to wait. */
  #idleMs(): number {
    const earlyMs = this.#reordering.nextMs() - this.#options.clock.monotonicMs();
    return Math.min(earlyMs, this.#queues.nextMs());
  }

  /** Puts what has waited long enough back into the window: it was there before. */
  #return(items: readonly Item[]): void {
    for (const { device, bytes } of items) this.#window.readmit(device, bytes);
    this.#queues.unshift(items);
  }

  #settle(group: readonly Decoded[], outcomes: readonly BatchOutcome[]): void {
    // An ack covers all before it, and the first nack of a gap is enough: one a log and commit.
    const acks = new Map<string, { readonly device: string; readonly answer: Answer }>();
    const gaps = new Map<string, { readonly device: string; readonly answer: Answer }>();
    for (const [i, item] of group.entries()) {
      const outcome = outcomes[i];
      invariant(outcome !== undefined, "each batch has its outcome");
      const { device, batch, bytes } = item;
      const { kind, cursor } = outcome;
      const { nonce } = batch;
      this.#window.release(device, bytes);
      if (kind === "appended" || kind === "duplicate") {
        if (kind === "duplicate") this.#stats.duplicates++;
        else this.#stats.appendedEntries += batch.entries.length;
        this.#budget?.sensible(device);
        acks.set(cursor.log, { device, answer: { ack: cursor, nonce } });
      } else if (kind === "gap") {
        if (this.#reordering.add(item, cursor.log, this.#options.clock.monotonicMs())) continue;
        this.#stats.gaps++;
        // The device sends again from there: what waits behind it comes with that.
        this.#reordering.takeOf(cursor.log);
        gaps.set(cursor.log, { device, answer: { nack: { ...cursor, reason: "gap" }, nonce } });
      } else if (kind === "limited") {
        this.#stats.limited++;
        this.#budget?.chargeNonsense(device);
      } else this.#refuse(item, outcome);
    }
    for (const [log, { device, answer }] of acks) {
      this.#options.answer(device, answer);
      this.#return(this.#reordering.takeOf(log));
    }
    for (const { device, answer } of gaps.values()) this.#options.answer(device, answer);
  }

  #refuse(item: Decoded, { kind, cursor, reason }: BatchOutcome): void {
    const { device, batch, bytes } = item;
    if (kind === "fork") {
      this.#stats.forks++;
      this.#tellFork(device, cursor);
      this.#options.answer(device, { nack: { ...cursor, reason: "fork" }, nonce: batch.nonce });
      return;
    }
    this.#budget?.chargeNonsense(device);
    this.#window.readmit(device, bytes);
    const known = cursor.log === batch.log && cursor.seq > 0 ? cursor : null;
    const refused = { reason: reason ?? kind, cursor: known, nonce: batch.nonce };
    this.#queues.unshift([{ ...item, batch: null, refused }]);
  }

  #tellFork(device: string, { log, seq }: Cursor): void {
    if (this.#forksLogged.has(log)) return;
    if (this.#forksLogged.size >= FORKS_LOGGED_MAX) this.#forksLogged.clear();
    this.#forksLogged.add(log);
    this.#options.logger.error("log fork detected: log frozen", {
      device,
      log,
      seq,
      hint: "see both: porchlight-cloud log list",
    });
  }
}

/** SQLSTATE: what the database says of a statement, as while it is restored under us. */
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Nothing of a device is lost while we wait for the database, whatever is wrong with it. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof PorchlightError)) return SQLSTATE.test(systemCodeOf(error) ?? "");
  return error.remedy === "retry" || error.code.startsWith("database.");
}

function firstOf({ entries }: Batch): number {
  return entries[0]?.seq ?? 0;
}
