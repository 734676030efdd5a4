/**
 * One agent at the feed: gives it batches, live messages, keys and objects to bring, and takes what
 * the centre answers. Everything the agent says is a stranger's word.
 */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { plainLine } from "../../shared/core/printable.ts";
import type { AnswerVerifier } from "../../shared/protocol/answer-proof.ts";
import {
  type DownFrame,
  FEED_VERSION,
  type Progress,
  type RawFrame,
  readUp,
  type UpFrame,
} from "../../shared/protocol/feed.ts";
import { encodeMessage, uploadRequestSchema } from "../../shared/protocol/wire.ts";
import { hearCentre } from "./hear-centre.ts";
import { createLiveLane, type LiveLane } from "./live-lane.ts";
import { createObjectBringer, type ObjectBringer } from "./object-bringer.ts";
import type { AckedPlace, KeyQueue, LiveQueue, SentLog, UploadedPlace } from "./ports.ts";
import { createReleasedKeys, type ReleasedKeys } from "./released-keys.ts";
import { createUplink, type Uplink } from "./uplink.ts";
import { createUploads, type Uploads } from "./uploads.ts";

export interface FeedParts {
  /** Who the centre knows this device as. */
  readonly device: string;
  readonly reader: SentLog;
  readonly live: LiveQueue;
  readonly keys: KeyQueue;
  /** Changes when another connection has written to the log. */
  readonly version: () => number;
  /** Of the site that is joined now; null where its answers are not signed. */
  readonly verifier: () => AnswerVerifier | null;
  readonly placesOf: (site: AnswerVerifier | null) => {
    readonly acked: AckedPlace;
    readonly uploaded: UploadedPlace;
  };
  readonly newNonce: () => string;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** The agent's connection. */
export interface Peer {
  send(frame: DownFrame, body?: Buffer): void;
  /** Whether it reads what it is sent: nothing more is sent to one that does not. */
  keepsUp(): boolean;
}

/** Batches that the agent has made room for: it never needs more at once. */
const ROOMS_MAX = 8;
/** Batches in flight: a round trip of 100 ms at 50,000 entries a second is five of them. */
const WINDOW_MAX = 8;
const PROGRESS_EVERY_MS = 100;

/** What runs from the first session with the broker on, for one site. */
interface Running {
  readonly site: string | null;
  readonly uplink: Uplink;
  readonly uploads: Uploads;
  readonly keys: ReleasedKeys;
}

export class FeedSession {
  readonly #parts: FeedParts;
  readonly #peer: Peer;
  readonly #lane: LiveLane;
  readonly #bringer: ObjectBringer;
  #greeted = false;
  #running: Running | null = null;
  /** Whether a session with the broker stands, as far as the agent has said. */
  #open = false;
  #rooms: number[] = [];
  #seen: number | null = null;
  #stirred = false;
  #progress = { words: "", atMs: Number.NEGATIVE_INFINITY };

  constructor(parts: FeedParts, peer: Peer) {
    this.#parts = parts;
    this.#peer = peer;
    this.#lane = createLiveLane(parts, peer);
    this.#bringer = createObjectBringer(peer);
  }

  /** Takes a frame. Throws `wire.invalid` where it is none: then the connection is to be ended. */
  take(frame: RawFrame): void {
    const said = readUp(frame);
    if (said.type === "hello") this.#hello(said);
    else if (!this.#greeted) throw malformed("the first frame is no hello");
    else this.#hear(said, frame.body);
    this.#stirred = true;
    this.pump();
  }

  /** Sends what is there to be sent; cheap when nothing is. */
  pump(): void {
    const running = this.#running;
    if (running === null || !this.#open || !this.#peer.keepsUp()) return;
    const version = this.#parts.version();
    const news = version !== this.#seen || this.#stirred;
    this.#seen = version;
    this.#stirred = false;
    // Before every batch: a month of backlog does not delay a visitor at the door now.
    if (news) this.#lane.pump();
    while (news && running.uplink.pump()) this.#lane.pump();
    running.keys.pump(version);
    running.uploads.pump(running.uplink.status().acked);
    this.#tellProgress(running, news);
  }

  /** To be called a few times a second. */
  tick(): void {
    if (this.#running === null || !this.#open) return;
    try {
      this.#running.uplink.check();
    } catch (error) {
      if (!(error instanceof PorchlightError) || error.code !== "sync.silent") throw error;
      this.#open = false;
      this.#peer.send({
        type: "silent",
        message: plainLine(error.message),
        hint: plainLine(error.hint ?? ""),
      });
      return;
    }
    this.pump();
  }

  /** Whether the centre has everything, as far as it can be told. */
  isDone(): boolean {
    const uplink = this.#running?.uplink;
    if (!this.#open || uplink === undefined) return true;
    return uplink.status().halted !== null || uplink.lag() === 0;
  }

  /** The connection has ended. */
  async close(): Promise<void> {
    this.#open = false;
    this.#bringer.close();
    this.#running?.uplink.flush();
    await this.#running?.uploads.stop();
  }

  #hello({ feed }: Extract<UpFrame, { type: "hello" }>): void {
    if (this.#greeted) throw malformed("a second hello");
    this.#greeted = true;
    const version = Math.min(feed, FEED_VERSION);
    this.#peer.send({ type: "welcome", feed: version, device: this.#parts.device });
  }

  #hear(said: Exclude<UpFrame, { type: "hello" }>, body: Buffer): void {
    switch (said.type) {
      case "session":
        this.#begin(said.window);
        break;
      case "room":
        if (this.#rooms.length < ROOMS_MAX) this.#rooms.push(said.bytes);
        break;
      case "heard":
        if (this.#running !== null) {
          hearCentre({ ...this.#running, logger: this.#parts.logger }, said.channel, body);
        }
        break;
      case "live.sent":
        this.#lane.sent(said.position);
        break;
      case "put.done":
        this.#bringer.done(said.sha256, said.status);
        break;
      case "put.failed":
        this.#bringer.failed(said.sha256, said.reason);
        break;
      case "alive":
        break;
    }
  }

  #begin(window: number): void {
    const verifier = this.#parts.verifier();
    const running = this.#runningFor(verifier);
    this.#open = true;
    this.#rooms = [];
    this.#lane.begin();
    running.uplink.begin({
      // One place is left for the live lane: the broker's client holds back what is too much.
      window: Math.max(1, Math.min(WINDOW_MAX, window - 1)),
      room: () => this.#rooms[0] ?? 0,
      nonce: verifier === null ? null : this.#parts.newNonce(),
      send: (payload) => {
        this.#rooms.shift();
        this.#peer.send({ type: "batch" }, payload);
      },
    });
    running.uploads.begin((request) => {
      // Delivery is confirmed by an answer alone.
      const asked = encodeMessage(uploadRequestSchema, request);
      this.#peer.send({ type: "publish", channel: "upload/request" }, asked);
    });
    running.keys.begin((payload) => {
      this.#peer.send({ type: "publish", channel: "keys" }, payload);
    });
  }

  /** As long as the site is the same, what is known of its answers stays. */
  #runningFor(verifier: AnswerVerifier | null): Running {
    const site = verifier?.site ?? null;
    if (this.#running?.site === site) return this.#running;
    void this.#running?.uploads.stop();
    const { acked, uploaded } = this.#parts.placesOf(verifier);
    const parts = this.#parts;
    const running = {
      site,
      uplink: createUplink({ ...parts, verifier, store: acked }),
      uploads: createUploads({ ...parts, store: uploaded, bring: this.#bringer.bring }),
      keys: createReleasedKeys({ ...parts, rows: parts.keys }),
    };
    this.#running = running;
    return running;
  }

  #tellProgress({ uplink }: Running, news: boolean): void {
    const now = this.#parts.clock.monotonicMs();
    if (now - this.#progress.atMs < PROGRESS_EVERY_MS) {
      // Told by a later tick.
      if (news) this.#stirred = true;
      return;
    }
    if (!news) return;
    const { acked, ackedAtMs, inFlight, halted } = uplink.status();
    const live = this.#lane.waiting();
    const progress: Progress = {
      ...{ type: "progress", acked, ackedAtMs, lag: uplink.lag(), live, inFlight, halted },
    };
    const words = JSON.stringify(progress);
    if (words === this.#progress.words) return;
    this.#progress = { words, atMs: now };
    this.#peer.send(progress);
  }
}

function malformed(what: string): PorchlightError {
  return new PorchlightError("wire.invalid", what, { remedy: "reject" });
}
