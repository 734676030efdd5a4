/** One session with the centre: passes on what the daemon gives and what the centre answers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../shared/core/clock.ts";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { createWakeSignal, type WakeSignal } from "../../shared/core/wake-signal.ts";
import { compressBatch } from "../../shared/protocol/batch.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import {
  type DownFrame,
  HALTED,
  type Halt,
  HEARD_CHANNELS,
  type Progress,
  UP_BYTES_MAX,
} from "../../shared/protocol/feed.ts";
import { type Channel, encodeMessage, statusSchema } from "../../shared/protocol/wire.ts";
import { type CongestionWindow, createCongestionWindow } from "./congestion-window.ts";
import type { FeedClient } from "./feed-client.ts";
import { type Link, openLink } from "./link.ts";
import type { PacketRoom } from "./packet-room.ts";
import type { Put } from "./put.ts";
import { bring } from "./upload.ts";

export interface SessionOptions {
  readonly bundle: Bundle;
  /** Of this program, for the status that the centre sees. */
  readonly version: string;
  /** Sealed objects, by the SHA-256 of their bytes; null when they are there no longer. */
  readonly objects: { read(sha256: string): Buffer | null };
  readonly put: Put;
  /** What is known of the broker's limit of a packet. */
  readonly room: PacketRoom;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
  /** The centre has answered. */
  readonly answered: () => void;
  /** Called at least once a second while all is as it should be; the watchdog is fed by it. */
  readonly alive: () => void;
  /** How far the log is acknowledged, as the daemon says. */
  readonly progressed: (progress: Progress) => void;
  /** Ends as soon as this site has signed for everything there is. */
  readonly untilAcked: boolean;
}

/** The session goes round at least this often. */
const ROUND_MS = 500;
/** Minimum interval of status reports when only the lag has changed … */
const STATUS_EVERY_MS = 30_000;
/** … and when more has. */
const STATUS_LEAST_MS = 1_000;
/** A stop takes 5 s at the most, whatever the broker does. */
const LAST_STATUS_MS = 1_500;
const CHANNELS: readonly Channel[] = ["ack", "nack", "upload/grant"];
const OPTIONAL: readonly Channel[] = ["keys/ack"];

/**
 * Returns when the signal is aborted, or when everything is acked where that is asked for. Throws
 * `sync.feed`, `sync.connect`, `sync.refused`, `sync.silent` or `sync.halted` when the session ends
 * otherwise.
 */
export async function runSession(
  options: SessionOptions,
  feed: FeedClient,
  signal: AbortSignal,
): Promise<void> {
  const { bundle, version, logger } = options;
  const offline = encodeMessage(statusSchema, { state: "offline", version });
  const wake = createWakeSignal();
  let problem: unknown = null;
  const fail = (reason: unknown): void => {
    problem ??= reason;
    wake.notify();
  };
  void feed.ended.then(fail);
  let session: Session | undefined;
  const link = await openLink(
    {
      bundle,
      will: offline,
      channels: CHANNELS,
      optional: OPTIONAL,
      message(channel, payload) {
        const heard = HEARD_CHANNELS.find((each) => each === channel);
        if (heard === undefined) return;
        if (payload.length > UP_BYTES_MAX) {
          logger.warn("message from the centre too long", { channel, bytes: payload.length });
          return;
        }
        feed.send({ type: "heard", channel: heard }, payload);
        session?.answered();
        options.answered();
      },
    },
    signal,
  );
  void link.ended.then(fail);
  logger.info("connected to the centre", { protocol: link.protocol });
  try {
    const current = new Session(options, feed, link, { wake, fail });
    session = current;
    feed.listen((frame, body) => {
      try {
        current.take(frame, body);
      } catch (error) {
        fail(error);
      }
      wake.notify();
    });
    // One place is left for the live lane: the library holds back what the broker would not take.
    const window = Math.min(WINDOW_MAX, link.receiveMaximum);
    feed.send({ type: "session", window });
    current.makeRoom();
    await current.run(() => problem, signal);
  } finally {
    session?.ended();
    feed.listen(() => undefined);
    if (problem === null) await publishOffline(link, offline);
    await link.close();
  }
}

/** As many batches in flight as the feed takes at once, and one. */
const WINDOW_MAX = 64;

/** The last status of a session that ends cleanly; a broker that hangs does not get it. */
async function publishOffline(link: Link, offline: Buffer): Promise<void> {
  const published = link.publish("status", offline, true).catch(() => undefined);
  await Promise.race([published, sleep(LAST_STATUS_MS, undefined, { ref: false })]);
}

class Session {
  readonly #options: SessionOptions;
  readonly #feed: FeedClient;
  readonly #link: Link;
  readonly #wake: WakeSignal;
  readonly #fail: (reason: unknown) => void;
  readonly #congestion: CongestionWindow;
  readonly #stop = new AbortController();
  #progress: Progress | null = null;
  /** Batches that the daemon has been asked for, and has not sent yet. */
  #asked = 0;
  /** The longest batch that was sent, until something is answered; null from then on. */
  #unanswered: number | null = 0;
  readonly #refused = new Set<Channel>();
  #status = { acked: "", halted: "", atMs: Number.NEGATIVE_INFINITY };

  constructor(
    options: SessionOptions,
    feed: FeedClient,
    link: Link,
    { wake, fail }: { readonly wake: WakeSignal; readonly fail: (reason: unknown) => void },
  ) {
    this.#options = options;
    this.#feed = feed;
    this.#link = link;
    this.#wake = wake;
    this.#fail = fail;
    this.#congestion = createCongestionWindow(options.clock);
  }

  /** Asks the daemon for as many batches as the line has room for. */
  makeRoom(): void {
    const most = this.#options.room.bytes(this.#link.packetMax);
    for (; this.#congestion.free() > this.#asked; this.#asked++) {
      const bytes = Math.floor(Math.min(most, this.#congestion.bytes()));
      this.#feed.send({ type: "room", bytes });
    }
  }

  /** Something was answered: the broker takes what it is sent. */
  answered(): void {
    if (this.#unanswered !== null) this.#options.room.answered();
    this.#unanswered = null;
  }

  /** The session is over. */
  ended(): void {
    if (this.#unanswered) this.#options.room.failed(this.#unanswered);
  }

  take(frame: DownFrame, body: Buffer): void {
    switch (frame.type) {
      case "batch":
        this.#batch(body);
        break;
      case "live":
        this.#live(frame, body);
        break;
      case "publish":
        // Delivery is confirmed by an answer alone.
        void this.#link.publish(frame.channel, body).catch((error) => {
          this.#undelivered(frame.channel, error);
        });
        break;
      case "put":
        void bring(frame, { ...this.#options, feed: this.#feed }, this.#stop.signal);
        break;
      case "progress":
        this.#progress = frame;
        this.#options.progressed(frame);
        break;
      case "silent":
        throw new PorchlightError("sync.silent", frame.message, {
          remedy: "retry",
          hint: frame.hint,
        });
      case "welcome":
      case "refused":
        break;
    }
  }

  async run(problem: () => unknown, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const wrong = problem();
        if (wrong !== null) throw wrong;
        this.#options.alive();
        this.#tellStatus();
        if (this.#options.untilAcked && this.#isDone()) return;
        const listener = this.#wake.subscribe();
        if (problem() === null) await listener.wait(ROUND_MS, signal);
      }
    } finally {
      this.#stop.abort();
    }
  }

  #batch(payload: Buffer): void {
    this.#asked = Math.max(0, this.#asked - 1);
    const taken = this.#congestion.sent();
    if (this.#unanswered !== null) this.#unanswered = Math.max(this.#unanswered, payload.length);
    this.#link.publish("log", compressBatch(payload)).then(
      () => {
        taken();
        this.makeRoom();
      },
      // Without the log nothing else is worth saying; a connection that broke says so itself.
      (error: unknown) => {
        if (error instanceof PorchlightError) this.#fail(error);
      },
    );
    this.makeRoom();
  }

  #live({ channel, position }: Extract<DownFrame, { type: "live" }>, payload: Buffer): void {
    this.#link.publish(channel, payload).then(
      () => this.#feed.send({ type: "live.sent", position }),
      (error: unknown) => this.#undelivered(channel, error),
    );
  }

  /** A session that is over says why itself; a broker that refuses is told of once for a channel. */
  #undelivered(channel: Channel, error: unknown): void {
    const { logger } = this.#options;
    const refused = error instanceof PorchlightError && !this.#refused.has(channel);
    if (!refused) {
      logger.debug("message not delivered", { channel, reason: messageOf(error) });
      return;
    }
    this.#refused.add(channel);
    logger.warn(error.message, { code: error.code, hint: error.hint });
  }

  /** Only what the daemon says: the centre's own words are for it to judge. */
  #isDone(): boolean {
    const progress = this.#progress;
    if (progress === null) return false;
    if (progress.halted !== null) throw haltedError(progress.halted);
    return progress.lag === 0 && progress.live === 0;
  }

  /** Publishes the status when it has changed, but not with every ack of a long backlog. */
  #tellStatus(): void {
    const { version, clock } = this.#options;
    if (this.#progress === null) return;
    const { acked, lag, halted } = this.#progress;
    const news = acked.hash !== this.#status.acked || (halted ?? "") !== this.#status.halted;
    const atMs = clock.monotonicMs();
    if (atMs - this.#status.atMs < (news ? STATUS_LEAST_MS : STATUS_EVERY_MS)) return;
    this.#status = { acked: acked.hash, halted: halted ?? "", atMs };
    const status = { state: "online", version, acked, lag, halted } as const;
    // Not waited for: on a slow line that would hold up the live lane. Its failure ends the session.
    const payload = encodeMessage(statusSchema, status);
    this.#link
      .publish("status", payload, true)
      .catch((error) => this.#undelivered("status", error));
  }
}

const AFTER_BACKUP = "was an old backup restored here? then begin anew: porchlight log renew --yes";
const WAY_ON: Readonly<Record<Halt, string>> = {
  fork: AFTER_BACKUP,
  behind: AFTER_BACKUP,
  invalid: "see why, in the centre: porchlight-cloud dead-letters list",
};

/** Where everything is to be acked: it will never be. */
function haltedError(halted: Halt): PorchlightError {
  const hint = WAY_ON[halted];
  return new PorchlightError("sync.halted", HALTED[halted], { remedy: "stop", hint });
}
