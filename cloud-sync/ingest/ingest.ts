/**
 * Takes batches into the central log and says what has become of them: the centre's half of the
 * sync protocol, without a network in it.
 *
 *     take ─► window ─► group commit ─► ack
 *               ▲          │ early: waits for the batch before it ─► nack `gap`
 *               └──────────┤ divergent history: log frozen        ─► nack `fork`
 *                          └ no batch: a dead letter              ─► nack `invalid`
 *
 * What is in the window is in memory alone: its sender keeps it until the ack.
 */

import type { Clock } from "../../shared/core/clock.ts";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import { createWakeSignal } from "../../shared/core/wake-signal.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { Batch } from "../../shared/protocol/batch.ts";
import type { Nack } from "../../shared/protocol/wire.ts";
import type { BatchOutcome } from "../log/append.ts";
import { ARRIVALS_MAX, type CentralLog } from "../log/event-log.ts";
import { type AdmissionLimits, AdmissionWindow } from "./admission-window.ts";
import { appendGroup } from "./append-group.ts";
import { type Item, ReorderBuffer } from "./reorder-buffer.ts";
import { keepUndecodable, tryDecodeBatch, type Undecodable } from "./undecodable.ts";

/** The centre holds everything of this log up to the cursor; or what it has to say against it. */
export type Answer = ({ readonly ack: Cursor } | { readonly nack: Nack }) & {
  /** Of the batch that is answered; null where that asks for no signature. */
  readonly nonce: string | null;
};

export interface IngestOptions {
  readonly log: Pick<CentralLog, "append" | "addDeadLetter" | "newest">;
  /**
   * Sends an answer to a device. A lost one is asked for again: this must neither wait nor throw.
   */
  readonly answer: (device: string, answer: Answer) => void;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Even in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly window?: AdmissionLimits;
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
}

export interface Ingest {
  /**
   * Resolves once a message of this device's `log` topic is in the window: then the broker may
   * forget it. Throws when the signal is aborted before there was room.
   */
  take(device: string, payload: Buffer, signal: AbortSignal): Promise<void>;
  /**
   * One group commit, and its answers. False when there is nothing to do now. Throws a
   * PorchlightError of remedy `retry` when the database does not answer: nothing is lost by it.
   */
  commit(signal?: AbortSignal): Promise<boolean>;
  /** Commits until the signal is aborted. Throws only what is a mistake of the program. */
  run(signal: AbortSignal): Promise<void>;
  stats(): IngestStats;
}

/** 32 MB are eight group commits; a thousand small batches are a thousand doors that rang. */
const WINDOW: AdmissionLimits = { messages: 1_024, bytes: 32 * 1024 * 1024 };
/** 10,000 entries of 400 bytes: larger commits are no faster (docs/benchmarks.md). */
const COMMIT_BYTES_MAX = 8 * 1024 * 1024;
/** While the server writes one, the next is sent to it; it waits there for the lock. */
const COMMITS_AT_ONCE = 2;
/** Memory overhead of an entry, besides its bytes. */
const ENTRY_BYTES = 200;
const BACKOFF = { firstMs: 100, maxMs: 5_000 } as const;
/** Frozen logs whose fork was logged: beyond this number one may be logged twice. */
const FORKS_LOGGED_MAX = 10_000;

export function createIngest(options: IngestOptions): Ingest {
  return new LogIngest(options);
}

class LogIngest implements Ingest {
  readonly #options: IngestOptions;
  readonly #window: AdmissionWindow;
  readonly #reordering = new ReorderBuffer();
  readonly #wake = createWakeSignal();
  /** Logs in a commit that is under way: what follows in one of them waits for its end. */
  readonly #busy = new Set<string>();
  readonly #stats = { appendedEntries: 0, duplicates: 0, gaps: 0, forks: 0, invalid: 0 };
  /** Logs whose fork was logged: a device resends at each start, and with all that is in flight. */
  readonly #forksLogged = new Set<string>();
  #queue: Item[] = [];
  #undecodable: Undecodable[] = [];

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#window = new AdmissionWindow(options.window ?? WINDOW);
  }

  async take(device: string, payload: Buffer, signal: AbortSignal): Promise<void> {
    await this.#window.acquire(signal);
    const read = tryDecodeBatch(payload);
    if (read.batch === null) {
      const { length: bytes } = payload;
      this.#window.charge(bytes);
      const { reason } = read;
      this.#undecodable.push({ device, payload, reason, cursor: null, nonce: null, bytes });
    } else {
      const bytes = sizeOf(read.batch);
      this.#window.charge(bytes);
      const looked = { earlySinceMs: null, looks: 0 };
      this.#queue.push({ device, payload, batch: read.batch, bytes, ...looked });
    }
    this.#wake.notify();
  }

  async commit(signal?: AbortSignal): Promise<boolean> {
    const undecodable = this.#undecodable.shift();
    if (undecodable !== undefined) {
      try {
        await keepUndecodable(undecodable, this.#options);
      } catch (error) {
        this.#undecodable.unshift(undecodable);
        throw error;
      }
      this.#window.release(undecodable.bytes);
      this.#stats.invalid++;
      return true;
    }
    const group = this.#nextGroup();
    if (group.length === 0) return false;
    try {
      const startedMs = this.#options.clock.monotonicMs();
      const outcomes = await appendGroup(group, this.#options, signal);
      const entries = group.reduce((sum, { batch }) => sum + batch.entries.length, 0);
      this.#options.committed?.(entries, this.#options.clock.monotonicMs() - startedMs);
      this.#settle(group, outcomes);
    } catch (error) {
      this.#queue.unshift(...group);
      throw error;
    } finally {
      for (const { batch } of group) this.#busy.delete(batch.log);
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
    const { random, logger, clock } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const heard = this.#wake.subscribe();
        const worked = await this.commit(signal);
        failures = 0;
        if (!worked) await heard.wait(this.#reordering.nextMs() - clock.monotonicMs(), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!isPassing(error)) throw error;
        logger.warn("ingest paused: database unavailable", {
          code: error.code,
          reason: error.message,
        });
        await pause(backoffMs(failures++, { ...BACKOFF, random }), signal);
      }
    }
  }

  /** What goes into the next commit, a log's batches in their order. */
  #nextGroup(): Item[] {
    this.#return(this.#reordering.takeDue(this.#options.clock.monotonicMs()));
    const group: Item[] = [];
    const rest: Item[] = [];
    let bytes = 0;
    for (const item of this.#queue) {
      const fits = group.length < ARRIVALS_MAX && bytes < COMMIT_BYTES_MAX;
      if (!fits || this.#busy.has(item.batch.log)) {
        rest.push(item);
        continue;
      }
      group.push(item);
      bytes += item.bytes;
    }
    for (const { batch } of group) this.#busy.add(batch.log);
    this.#queue = rest;
    return group.sort((a, b) => firstOf(a.batch) - firstOf(b.batch));
  }

  /** Puts what has waited long enough back into the window: it was there before. */
  #return(items: readonly Item[]): void {
    for (const { bytes } of items) this.#window.readmit(bytes);
    this.#queue.unshift(...items);
  }

  #settle(group: readonly Item[], outcomes: readonly BatchOutcome[]): void {
    // An ack covers all before it, and the first nack of a gap is enough: one a log and commit.
    const acks = new Map<string, { readonly device: string; readonly answer: Answer }>();
    const gaps = new Map<string, { readonly device: string; readonly answer: Answer }>();
    for (const [i, item] of group.entries()) {
      const outcome = outcomes[i];
      invariant(outcome !== undefined, "each batch has its outcome");
      const { device, batch, bytes } = item;
      const { kind, cursor } = outcome;
      const { nonce } = batch;
      this.#window.release(bytes);
      if (kind === "appended" || kind === "duplicate") {
        if (kind === "duplicate") this.#stats.duplicates++;
        else this.#stats.appendedEntries += batch.entries.length;
        acks.set(cursor.log, { device, answer: { ack: cursor, nonce } });
      } else if (kind === "gap") {
        if (this.#reordering.add(item, cursor.log, this.#options.clock.monotonicMs())) continue;
        this.#stats.gaps++;
        // The device sends again from there: what waits behind it comes with that.
        this.#reordering.takeOf(cursor.log);
        gaps.set(cursor.log, { device, answer: { nack: { ...cursor, reason: "gap" }, nonce } });
      } else this.#refuse(item, outcome);
    }
    for (const [log, { device, answer }] of acks) {
      this.#options.answer(device, answer);
      this.#return(this.#reordering.takeOf(log));
    }
    for (const { device, answer } of gaps.values()) this.#options.answer(device, answer);
  }

  #refuse({ device, batch, payload }: Item, { kind, cursor, reason }: BatchOutcome): void {
    const { answer } = this.#options;
    if (kind === "fork") {
      this.#stats.forks++;
      this.#tellFork(device, cursor);
      answer(device, { nack: { ...cursor, reason: "fork" }, nonce: batch.nonce });
      return;
    }
    const { length: bytes } = payload;
    this.#window.readmit(bytes);
    const known = cursor.log === batch.log && cursor.seq > 0 ? cursor : null;
    const { nonce } = batch;
    this.#undecodable.push({
      ...{ device, payload, reason: reason ?? kind, cursor: known, nonce, bytes },
    });
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

function isPassing(error: unknown): error is PorchlightError {
  return error instanceof PorchlightError && error.remedy === "retry";
}

function firstOf({ entries }: Batch): number {
  return entries[0]?.seq ?? 0;
}

function sizeOf({ entries }: Batch): number {
  return entries.reduce((sum, { body }) => sum + (body?.length ?? 0) + ENTRY_BYTES, 0);
}
