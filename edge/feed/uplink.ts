/**
 * Sends the log and follows what the centre says of it: the device's half of the sync protocol,
 * without a network in it. What it hears comes through the agent, who is a stranger: an answer counts
 * where the site has signed it for this session, and its place is in the log.
 *
 *     acked ───────────── sent ─────────── head
 *       │  batches in flight │  not sent yet │        acked moves on an ack alone; a nack for a gap
 *       └── ack ────────────►│               │        takes both back to what the centre holds
 */

import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { BATCH_ENTRIES_MAX, encodeBatch, SEND_BYTES_MAX } from "../../shared/protocol/batch.ts";
import type { Halt } from "../../shared/protocol/feed.ts";
import type { Ack, Nack } from "../../shared/protocol/wire.ts";
import { AckedWriter } from "./acked-writer.ts";
import { AnswerCheck, type AnswerCheckOptions } from "./answer-check.ts";
import { HaltRecord } from "./halt-record.ts";
import type { AckedPlace, SentLog } from "./ports.ts";
import { RewindLimit } from "./rewind-limit.ts";

/** One connection, as far as the log is concerned. */
export interface UplinkSession {
  /** Passes a batch on, not compressed; only an ack confirms that it arrived. */
  send(payload: Buffer): void;
  /** What the site's signed answers repeat; null where none are expected. */
  readonly nonce: string | null;
  /** Batches that may be in flight at once. */
  readonly window: number;
  /** Bytes that the next batch may hold before it is packed; 0 to wait. As many as fit if absent. */
  room?(): number;
}

export interface UplinkStatus {
  readonly acked: Cursor;
  readonly ackedAtMs: number | null;
  readonly inFlight: number;
  readonly halted: Halt | null;
}

export interface Uplink {
  /**
   * A session begins: what the last one had in flight is sent again, and before it the entry that
   * was acknowledged last. A centre brought back from a backup learns from it what it lacks.
   */
  begin(session: UplinkSession): void;
  /** Sends one batch, if there is one and the congestion window has room; false if not. */
  pump(): boolean;
  onAck(ack: Ack): void;
  onNack(nack: Nack): void;
  /**
   * Writes down what was acknowledged a while ago. Throws `sync.silent` when a batch has waited too
   * long for its ack.
   */
  check(): void;
  /** Writes down everything that was acknowledged. */
  flush(): void;
  /** Entries the centre has not acknowledged yet. */
  lag(): number;
  status(): UplinkStatus;
}

export interface UplinkOptions extends AnswerCheckOptions {
  readonly reader: SentLog;
  readonly store: AckedPlace;
  readonly clock: Clock;
}

/** A commit in the centre takes milliseconds; a TCP session that says nothing proves nothing. */
export const ACK_TIMEOUT_MS = 20_000;
/** A batch that was damaged on its way arrives the next time; one that never does is wrong. */
const INVALID_MAX = 3;
/** Entries resent to a centre that has another: a divergence lies among the last ones. */
const SHOWN_ENTRIES = 100;

/** How far the log is acknowledged and sent. */
interface Progress {
  acked: Cursor;
  ackedAtMs: number | null;
  sent: Cursor;
}

interface InFlight {
  readonly last: Cursor;
  readonly sentAtMs: number;
}

export function createUplink(options: UplinkOptions): Uplink {
  return new LogUplink(options);
}

class LogUplink implements Uplink {
  readonly #reader: SentLog;
  readonly #answers: AnswerCheck;
  readonly #writer: AckedWriter;
  readonly #rewinds = new RewindLimit();
  readonly #record: HaltRecord;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #session: UplinkSession | null = null;
  #progress: Progress | null = null;
  #inFlight: InFlight[] = [];
  #halted: Halt | null = null;
  /** The newest log at that time. */
  #haltedIn: string | null = null;
  /** What the centre has named and is not here, until it says itself that it sees a fork. */
  #denied: Cursor | null = null;
  #shown = false;
  #invalid = 0;

  constructor(options: UplinkOptions) {
    const { reader, store, clock, logger } = options;
    this.#reader = reader;
    this.#answers = new AnswerCheck(options);
    this.#writer = new AckedWriter(store);
    this.#record = new HaltRecord(store, logger);
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Read from the store at the first use. */
  get #at(): Progress {
    this.#progress ??= this.#stored();
    return this.#progress;
  }

  begin(session: UplinkSession): void {
    this.#session = session;
    const { log, seq } = this.#at.acked;
    this.#at.sent = (seq > 0 && this.#reader.find(log, seq - 1)) || this.#at.acked;
    this.#inFlight = [];
    this.#rewinds.begin();
    this.#answers.begin(session.nonce);
    this.#shown = false;
  }

  pump(): boolean {
    if (this.#isHalted()) return this.#show();
    if (this.#inFlight.length >= (this.#session?.window ?? 0)) return false;
    const last = this.#send(this.#at.sent);
    if (last === null) return false;
    this.#inFlight.push({ last, sentAtMs: this.#clock.monotonicMs() });
    this.#at.sent = last;
    return true;
  }

  onAck({ proof, ...cursor }: Ack): void {
    if (!this.#answers.isGenuine({ verdict: "ack", cursor }, proof)) return;
    const own = this.#held(cursor);
    if (own === null) {
      this.#deny(cursor);
      return;
    }
    if (this.#isAfter(this.#at.acked, own)) return; // late or doubled: an ack never takes back
    if (this.#halted === null) this.#record.clear();
    this.#at.acked = own;
    this.#at.ackedAtMs = this.#clock.now();
    this.#invalid = 0;
    this.#inFlight = this.#inFlight.filter(({ last }) => this.#isAfter(last, own));
    const acked = { cursor: own, at: this.#at.ackedAtMs };
    this.#writer.put(acked, this.#clock.monotonicMs());
    if (this.#inFlight.length === 0) this.flush();
    if (this.#isAfter(own, this.#at.sent)) this.#at.sent = own;
  }

  onNack({ reason, proof, ...named }: Nack): void {
    const genuine = this.#answers.isGenuine({ verdict: reason, cursor: named }, proof);
    // It is sent again, but from nowhere else than this site has acknowledged.
    if (!genuine && reason === "invalid") this.#rewind(this.#at.acked, reason);
    if (!genuine) return;
    if (reason === "fork") {
      this.#denied = null;
      this.#halt("fork", named);
      return;
    }
    const cursor = this.#held(named);
    if (cursor === null) {
      this.#deny(named);
      return;
    }
    // A cursor at 0 of this log is no answer about the logs before it.
    const to = cursor.seq === 0 && this.#isAfter(cursor, this.#at.acked) ? this.#at.acked : cursor;
    this.#rewind(to, reason);
  }

  check(): void {
    this.#writer.write(this.#clock.monotonicMs());
    const [oldest] = this.#inFlight;
    if (oldest === undefined || this.#halted !== null) return;
    const waitedMs = this.#clock.monotonicMs() - oldest.sentAtMs;
    if (waitedMs < ACK_TIMEOUT_MS) return;
    throw new PorchlightError("sync.silent", `no answer from the centre for ${waitedMs} ms`, {
      remedy: "retry",
      hint: "see whether the centre runs: porchlight-cloud status; and whether the broker lets it and this device through: porchlight-cloud devices acl",
    });
  }

  flush(): void {
    this.#writer.flush(this.#clock.monotonicMs());
  }

  lag(): number {
    return this.#reader.count(this.#at.acked);
  }

  status(): UplinkStatus {
    return {
      acked: this.#at.acked,
      ackedAtMs: this.#at.ackedAtMs,
      inFlight: this.#inFlight.length,
      halted: this.#halted,
    };
  }

  /** The centre's cursor is authoritative, also when it is behind its earlier acks. */
  #rewind(to: Cursor, reason: Nack["reason"]): void {
    const now = this.#clock.monotonicMs();
    if (!this.#rewinds.allows(to, now)) return;
    if (reason === "invalid" && ++this.#invalid >= INVALID_MAX) {
      this.#halt(reason, to);
      return;
    }
    this.#logger.warn("rewinding: resending entries", { reason, seq: to.seq });
    const moved = this.#at.acked.hash !== to.hash;
    this.#at.acked = to;
    this.#at.sent = to;
    this.#inFlight = [];
    if (!moved) return;
    this.#at.ackedAtMs = this.#clock.now();
    this.#writer.put({ cursor: to, at: this.#at.ackedAtMs }, now);
  }

  #stored(): Progress {
    const stored = this.#writer.read();
    const known = stored && this.#own(stored.cursor);
    const acked = known ?? this.#reader.start();
    return { acked, ackedAtMs: known ? (stored?.at ?? null) : null, sent: acked };
  }

  /** One batch of what follows a place; its last entry, or null when nothing was sent. */
  #send(place: Cursor): Cursor | null {
    const bytesMax = this.#session?.room?.() ?? SEND_BYTES_MAX;
    if (this.#session === null || bytesMax === 0) return null;
    const { previous, entries } = this.#reader.after(place, BATCH_ENTRIES_MAX);
    if (entries.length === 0) return null;
    const { nonce } = this.#session;
    const { payload, last } = encodeBatch(previous, entries, { bytesMax, nonce });
    this.#session.send(payload);
    return last;
  }

  /** The cursor as this store has it, or null where it has another entry there or none. */
  #own({ log, seq, hash }: Cursor): Cursor | null {
    const own = this.#reader.find(log, seq);
    return own?.hash === hash ? own : null;
  }

  /**
   * What of ours the centre holds. Of a log that was left off it may hold more than we do: then it
   * has all that we kept of it.
   */
  #held(cursor: Cursor): Cursor | null {
    const end = this.#reader.closedAt(cursor.log);
    return end !== null && cursor.seq > end.seq ? end : this.#own(cursor);
  }

  /** Logs follow each other in a store; within one, `seq` counts. */
  #isAfter(place: Cursor, other: Cursor): boolean {
    if (place.log === other.log) return place.seq > other.seq;
    return this.#reader.count(place) < this.#reader.count(other);
  }

  /** The centre names a place that is not ours. */
  #deny(cursor: Cursor): void {
    const here = this.#reader.find(cursor.log, cursor.seq);
    if (this.#halted === null) this.#denied = cursor;
    this.#halt(here === null ? "behind" : "fork", cursor);
  }

  /**
   * Fork probe: a copy of this device may run elsewhere, and an ack may have been meant for it.
   * Once a session the last entries are resent, so the centre sees the fork and keeps both
   * branches.
   */
  #show(): boolean {
    if (this.#denied === null || this.#shown) return false;
    const { log, seq } = this.#reader.head();
    const from = Math.max(0, Math.min(seq, this.#denied.seq) - SHOWN_ENTRIES);
    const near = log === this.#denied.log ? this.#reader.find(log, from) : null;
    const later = near !== null && this.#isAfter(near, this.#at.acked) ? near : this.#at.acked;
    this.#shown = this.#send(later) !== null;
    return this.#shown;
  }

  /** A new log (`porchlight log renew`) ends a halt: it follows a place that both ends have. */
  #isHalted(): boolean {
    if (this.#halted === null || this.#reader.head().log === this.#haltedIn) {
      return this.#halted !== null;
    }
    this.#logger.info("new log started: sync resumed", { reason: this.#halted });
    this.#record.clear();
    this.#halted = null;
    this.#denied = null;
    this.#invalid = 0;
    // What was acked may have been left off since.
    this.#at.acked = this.#own(this.#at.acked) ?? this.#reader.start();
    this.#at.sent = this.#at.acked;
    this.#inFlight = [];
    return false;
  }

  /** Logged once; that it is a fork can come out later, when the centre has these entries. */
  #halt(halted: Halt, { log, seq }: Cursor): void {
    if (this.#halted === halted || (this.#halted !== null && halted !== "fork")) return;
    this.#haltedIn = this.#reader.head().log;
    this.#record.put(halted, { log, seq });
    this.#halted = halted;
  }
}
