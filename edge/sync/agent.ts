/** The sync agent: connects the daemon's feed with the centre, and again with back-off. */
import type { Clock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import type { Progress } from "../../shared/protocol/feed.ts";
import { connectFeed, type FeedAddress, type FeedClient } from "./feed-client.ts";
import { isNetworkDown } from "./link.ts";
import { createPacketRoom } from "./packet-room.ts";
import { runSession, type SessionOptions } from "./session.ts";
import type { AgentStatus } from "./status.ts";

export interface AgentOptions extends Omit<SessionOptions, "answered" | "progressed" | "room"> {
  /** The daemon's socket. */
  readonly feed: FeedAddress;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly report: (status: Omit<AgentStatus, "atMs" | "pid">) => void;
}

/** Back-off for a broker that refuses: a whole fleet may be retrying with us. */
const BACKOFF = { firstMs: 500, maxMs: 60_000 };
/** Back-off without a network or a daemon: an attempt costs nothing, and 5 s later we are back. */
const BACKOFF_LOCAL = { firstMs: 500, maxMs: 4_000 };
/** Failures in a row that are logged one by one; then each that doubles their number. */
const LOGGED_EACH = 8;
const ALIVE_EVERY_MS = 1_000;

/**
 * Runs until the signal is aborted, or everything is acked where that is asked for. Trouble with
 * the connection never ends it, unless it is asked to end and only a person can help; else only a
 * programmer error throws.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, random } = options;
  let attempt = 0;
  const report = createReporter(options);
  const session = {
    ...options,
    room: createPacketRoom(),
    // A session is good once the centre has answered in it, not when a broker has let us in.
    answered() {
      attempt = 0;
    },
    progressed(progress: Progress) {
      report({ state: "connected" }, progress);
    },
  };
  const feeds = new Feeds(options);
  while (!signal.aborted) {
    report({ state: "connecting" });
    try {
      await runSession(session, await feeds.connected(), signal);
      break;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof PorchlightError) || !error.code.startsWith("sync.")) throw error;
      const { code, hint, message, remedy } = error;
      if (options.untilAcked && remedy === "stop") {
        report({ state: "stopped", reason: message });
        feeds.close();
        throw error;
      }
      const local = isNetworkDown(error) || code === "sync.feed";
      const limits = local ? BACKOFF_LOCAL : BACKOFF;
      const waitMs = backoffMs(attempt++, { ...limits, random });
      // A broker that is away for weeks, or a copy of this device that ends each session.
      const loud = attempt <= LOGGED_EACH || Number.isInteger(Math.log2(attempt));
      logger[loud ? "warn" : "debug"](message, { code, hint, attempt, retryInMs: waitMs });
      report({ state: "waiting", reason: message, retryAtMs: clock.now() + waitMs });
      await waitAlive(options, waitMs, signal);
    }
  }
  feeds.close();
  report({ state: "stopped" });
}

/** The connection to the daemon: it outlives sessions with the broker. */
class Feeds {
  readonly #options: Pick<AgentOptions, "feed" | "version" | "bundle">;
  #feed: FeedClient | null = null;

  constructor(options: Pick<AgentOptions, "feed" | "version" | "bundle">) {
    this.#options = options;
  }

  async connected(): Promise<FeedClient> {
    if (this.#feed !== null) return this.#feed;
    const { feed: address, version, bundle } = this.#options;
    const feed = await connectFeed(address, version);
    if (feed.device !== bundle.device) {
      feed.close();
      throw otherDevice(feed.device, bundle.device);
    }
    this.#feed = feed;
    void feed.ended.then(() => {
      if (this.#feed === feed) this.#feed = null;
    });
    return feed;
  }

  close(): void {
    this.#feed?.close();
  }
}

function otherDevice(device: string, joined: string): PorchlightError {
  return new PorchlightError(
    "sync.bundle.other",
    `the bundle is for the device ${joined}, this one is ${device}`,
    {
      remedy: "stop",
      exitCode: EXIT.config,
      hint: `in the centre: porchlight-cloud devices add ${device} --out BUNDLE; here: porchlight sync join BUNDLE`,
    },
  );
}

/** To wait for a network is what an agent is for. */
async function waitAlive(
  { alive }: Pick<AgentOptions, "alive">,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  for (let left = ms; left > 0 && !signal.aborted; left -= ALIVE_EVERY_MS) {
    alive();
    await pause(Math.min(left, ALIVE_EVERY_MS), signal);
  }
}

/** What is known of the log is known from the daemon alone; it stays while it is away. */
function createReporter({ report }: Pick<AgentOptions, "report">) {
  let known: Pick<AgentStatus, "lag" | "inFlight" | "halted"> = {
    lag: null,
    inFlight: 0,
    halted: null,
  };
  return (status: Pick<AgentStatus, "state"> & Partial<AgentStatus>, progress?: Progress): void => {
    if (progress !== undefined) {
      const { lag, inFlight, halted } = progress;
      known = { lag, inFlight, halted };
    }
    report({ ...known, retryAtMs: null, reason: null, ...status });
  };
}
