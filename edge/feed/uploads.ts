/**
 * Brings sealed objects to the centre, apart from the log: asks for a grant, puts the bytes where it
 * says, and goes on after a restart where it was. The device's half, without a network in it.
 *
 *     uploaded ──────────── looked at ──────────── acked ── head
 *        │  a few are under way  │  not looked at yet  │       nothing is asked for before the centre
 *        └── the first is done ─►│                     │       holds the entry that announces it
 */
import type { Clock } from "../../shared/core/clock.ts";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs } from "../../shared/core/retry.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { bodyEnding, ENTRY_DATA, parseEntry } from "../../shared/log/entry.ts";
import {
  UPLOAD_BYTES_MAX,
  type UploadAnswer,
  type UploadRequest,
} from "../../shared/protocol/wire.ts";
import type { SentEntry, SentLog, UploadedPlace } from "./ports.ts";

/** Where the object with this SHA-256 may be put. */
export interface PutTarget {
  readonly sha256: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Has the agent bring a sealed object there; its HTTP status, null where it is there no longer.
 * Throws a PorchlightError (remedy `retry`) where no answer comes.
 */
export type BringObject = (target: PutTarget, signal: AbortSignal) => Promise<number | null>;

export interface Uploads {
  /** A session begins: requests that the last one has no answer to are repeated. */
  begin(ask: (request: UploadRequest) => void): void;
  /** Does what is due; cheap when nothing is. `acked`: what the centre holds of the log. */
  pump(acked: Cursor): void;
  onGrant(answer: UploadAnswer): void;
  /** Ends what is under way, and waits until it has ended. */
  stop(): Promise<void>;
}

export interface UploadsOptions {
  readonly reader: SentLog;
  readonly store: UploadedPlace;
  readonly bring: BringObject;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** Concurrent uploads: a slow line is shared with the log and with live notifications. */
const UNDER_WAY_MAX = 2;
/** Looked at ahead: one that fails holds up the cursor, and not the others. */
const AHEAD_MAX = 16;
/** A page of visits with their crops is 5 MB; a turn of the session has no time for more. */
const PAGE_ENTRIES = 50;
/** Without an object for so many entries, the place is written down all the same. */
const WRITE_EVERY_ENTRIES = 1_000;
const ANSWER_TIMEOUT_MS = 20_000;
/** Retry back-off, longer than the log's: a snapshot is not urgent. */
const BACKOFF = { firstMs: 1_000, maxMs: 300_000 };
/**
 * Refusals before an object is skipped: the centre has the entry, and still does not know the
 * object.
 */
const REFUSED_MAX = 5;
/** HTTP 412: an earlier PUT had succeeded, and its answer was lost. */
const ALREADY_STORED = 412;

interface Item {
  readonly place: Cursor;
  readonly request: UploadRequest;
  state: "waiting" | "asked" | "putting" | "done";
  /** Not before (waiting), or since (asked), on the monotonic clock. */
  atMs: number;
  attempts: number;
  refused: number;
}

/** How far the log was searched for objects, and how far that is written down. */
interface Progress {
  lookedAt: Cursor;
  written: Cursor;
}

export function createUploads(options: UploadsOptions): Uploads {
  return new ObjectUploads(options);
}

class ObjectUploads implements Uploads {
  readonly #options: UploadsOptions;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #ask: (request: UploadRequest) => void = () => undefined;
  #items: Item[] = [];
  #progress: Progress | null = null;
  /** What the centre held when everything up to there had been looked at. */
  #idleAt = "";
  #failure: unknown;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Read from the store at the first use. */
  get #at(): Progress {
    this.#progress ??= this.#stored();
    return this.#progress;
  }

  begin(ask: (request: UploadRequest) => void): void {
    this.#ask = ask;
    for (const item of this.#items) if (item.state === "asked") item.state = "waiting";
  }

  pump(acked: Cursor): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#finish();
    if (this.#idleAt !== acked.hash) this.#look(acked);
    const now = this.#options.clock.monotonicMs();
    for (const item of this.#items) {
      if (item.state === "asked" && now - item.atMs >= ANSWER_TIMEOUT_MS) this.#later(item);
    }
    const underWay = this.#items.filter(({ state }) => state === "asked" || state === "putting");
    let free = UNDER_WAY_MAX - underWay.length;
    for (const item of this.#items) {
      if (free <= 0) return;
      if (item.state !== "waiting" || item.atMs > now) continue;
      item.state = "asked";
      item.atMs = now;
      free--;
      this.#ask(item.request);
    }
  }

  onGrant(answer: UploadAnswer): void {
    const item = this.#items.find(
      ({ state, request }) => state === "asked" && request.sha256 === answer.sha256,
    );
    if (item === undefined) return; // late or doubled
    if ("held" in answer) item.state = "done";
    else if ("refused" in answer) this.#refused(item, answer.refused);
    else {
      item.state = "putting";
      const { sha256, url, headers } = answer;
      const running = this.#bring(item, { sha256, url, headers }).catch((error: unknown) => {
        this.#failure ??= error;
      });
      this.#running.add(running);
      void running.then(() => this.#running.delete(running));
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
    this.#finish();
  }

  #stored(): Progress {
    const { reader, store } = this.#options;
    const stored = store.read();
    const own = stored && reader.find(stored.log, stored.seq);
    const lookedAt = own?.hash === stored?.hash && own ? own : reader.start();
    return { lookedAt, written: lookedAt };
  }

  async #bring(item: Item, target: PutTarget): Promise<void> {
    const { bring, logger } = this.#options;
    try {
      const status = await bring(target, this.#stopping.signal);
      // Null: shed or erased since, so there is nothing to upload.
      const stored = status === null || (status >= 200 && status < 300);
      if (stored || status === ALREADY_STORED) item.state = "done";
      else {
        const retryInMs = this.#later(item);
        logger.warn("upload refused", { status, seq: item.place.seq, retryInMs });
      }
    } catch (error) {
      if (!(error instanceof PorchlightError)) throw error;
      const retryInMs = this.#later(item);
      if (this.#stopping.signal.aborted) return;
      logger.warn(messageOf(error), { seq: item.place.seq, retryInMs });
    }
  }

  #refused(item: Item, reason: string): void {
    const { logger } = this.#options;
    item.refused++;
    if (item.refused < REFUSED_MAX) this.#later(item);
    else {
      item.state = "done";
      logger.error("upload rejected by the centre", {
        seq: item.place.seq,
        reason,
      });
    }
  }

  #later(item: Item): number {
    const { clock, random } = this.#options;
    const waitMs = backoffMs(item.attempts++, { ...BACKOFF, random });
    item.state = "waiting";
    item.atMs = clock.monotonicMs() + waitMs;
    return waitMs;
  }

  /** Reads on, up to what the centre holds. */
  #look(acked: Cursor): void {
    if (this.#items.length >= AHEAD_MAX) return;
    const { reader } = this.#options;
    const left = reader.count(this.#at.lookedAt) - reader.count(acked);
    if (left < 0) {
      // It holds less than it once did: its objects may be gone as well.
      this.#items = [];
      this.#at.lookedAt = acked;
    }
    if (left <= 0) {
      this.#idleAt = acked.hash;
      return;
    }
    const { entries } = reader.after(this.#at.lookedAt, Math.min(left, PAGE_ENTRIES));
    for (const entry of entries) {
      const { log, seq, hash } = entry;
      const place = { log, seq, hash };
      const request = requestOf(entry);
      if (request !== null) {
        this.#items.push({ place, request, state: "waiting", atMs: 0, attempts: 0, refused: 0 });
      }
      this.#at.lookedAt = place;
      if (this.#items.length >= AHEAD_MAX) break;
    }
    const passed = reader.count(this.#at.written) - reader.count(this.#at.lookedAt);
    if (this.#items.length === 0 && passed >= WRITE_EVERY_ENTRIES) this.#write(this.#at.lookedAt);
  }

  /** Moves the cursor over what is done. */
  #finish(): void {
    const first = this.#items.findIndex(({ state }) => state !== "done");
    const done = first === -1 ? this.#items.length : first;
    if (done === 0) return;
    const last = this.#items[done - 1]?.place;
    this.#items = this.#items.slice(done);
    if (last !== undefined) this.#write(this.#items.length === 0 ? this.#at.lookedAt : last);
  }

  #write(place: Cursor): void {
    this.#at.written = place;
    this.#options.store.write(place);
  }
}

/** What an entry announces; null where that is nothing, or nothing any more. */
function requestOf({ log, seq, body }: SentEntry): UploadRequest | null {
  if (body === null || !body.endsWith(bodyEnding("media.captured"))) return null;
  const { data } = ENTRY_DATA["media.captured"].safeParse(parseEntry(body).data);
  if (data === undefined || data.bytes > UPLOAD_BYTES_MAX) return null;
  return { log, seq, sha256: data.sha256, bytes: data.bytes };
}
