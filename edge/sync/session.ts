/** One session with the centre, from connecting to its end. */
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../shared/core/clock.ts";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { createWakeSignal, type WakeSignal } from "../../shared/core/wake-signal.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import {
  ackSchema,
  type Channel,
  decodeMessage,
  encodeMessage,
  keysAckSchema,
  nackSchema,
  statusSchema,
  uploadGrantSchema,
  uploadRequestSchema,
} from "../../shared/protocol/wire.ts";
import { createCongestionWindow } from "./congestion-window.ts";
import { type Link, openLink } from "./link.ts";
import { createLiveLane } from "./live-lane.ts";
import type { LiveQueue } from "./ports.ts";
import type { ReleasedKeys } from "./released-keys.ts";
import { HALTED, type Halt, type Uplink } from "./uplink.ts";
import type { Uploads } from "./uploads.ts";

export interface SessionOptions {
  readonly bundle: Bundle;
  /** Of this program, for the status that the centre sees. */
  readonly version: string;
  readonly uplink: Uplink;
  /** Uploads of objects, after everything else. */
  readonly uploads: Uploads;
  /** Keys that the owner has released, wrapped for the site. */
  readonly keys: ReleasedKeys;
  /** What is to be sent before anything else. */
  readonly live: LiveQueue;
  /** Changes when another process has appended to the log. */
  readonly logVersion: () => number;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
  /** The centre has answered. */
  readonly answered: () => void;
  /** Called at least once a second while all is as it should be; the watchdog is fed by it. */
  readonly alive: () => void;
  /** The status was published. */
  readonly statusPublished: () => void;
  /** Ends as soon as the centre holds everything there is. */
  readonly untilAcked: boolean;
}

/** Batches in flight: a round trip of 100 ms at 50,000 entries a second is five of them. */
const WINDOW_MAX = 8;
/** A press or a visit waits no longer than this to be noticed. */
const POLL_MS = 50;
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
 * `sync.connect`, `sync.refused`, `sync.silent` or `sync.halted` when the session ends otherwise.
 */
export async function runSession(options: SessionOptions, signal: AbortSignal): Promise<void> {
  const { bundle, version, logger } = options;
  const offline = encodeMessage(statusSchema, { state: "offline", version });
  const wake = createWakeSignal();
  let problem: unknown = null;
  const link = await openLink(
    {
      bundle,
      will: offline,
      channels: CHANNELS,
      optional: OPTIONAL,
      message(channel, payload) {
        try {
          receive(options, channel, payload);
        } catch (error) {
          problem ??= error;
        }
        wake.notify();
      },
    },
    signal,
  );
  void link.ended.then((reason) => {
    problem ??= reason;
    wake.notify();
  });
  logger.info("connected to the centre", { protocol: link.protocol });
  try {
    await speak(options, { link, wake, problem: () => problem }, signal);
  } finally {
    if (problem === null) await publishOffline(link, offline);
    await link.close();
  }
}

/** The last status of a session that ends cleanly; a broker that hangs does not get it. */
async function publishOffline(link: Link, offline: Buffer): Promise<void> {
  const published = link.publish("status", offline, true).catch(() => undefined);
  await Promise.race([published, sleep(LAST_STATUS_MS, undefined, { ref: false })]);
}

/** A malformed message is a fault of the other end: it is logged, and changes nothing here. */
export function receive(
  options: Pick<SessionOptions, "uplink" | "uploads" | "keys" | "logger" | "answered">,
  channel: Channel,
  payload: Buffer,
): void {
  const { uplink, uploads, keys, logger, answered } = options;
  try {
    if (channel === "ack") uplink.onAck(decodeMessage(ackSchema, payload));
    else if (channel === "nack") uplink.onNack(decodeMessage(nackSchema, payload));
    else if (channel === "upload/grant") uploads.onGrant(decodeMessage(uploadGrantSchema, payload));
    else if (channel === "keys/ack") keys.onAck(decodeMessage(keysAckSchema, payload));
    answered();
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.remedy !== "reject") throw error;
    logger.warn("message from the centre invalid", {
      channel,
      reason: messageOf(error),
    });
  }
}

interface Speaking {
  readonly link: Link;
  readonly wake: WakeSignal;
  /** What has gone wrong, or null. */
  readonly problem: () => unknown;
}

async function speak(
  options: SessionOptions,
  { link, wake, problem }: Speaking,
  signal: AbortSignal,
): Promise<void> {
  const { uplink, untilAcked, logVersion, clock } = options;
  const tellStatus = createStatus(options, link);
  const lane = createLiveLane(options, { link, wake });
  const congestion = createCongestionWindow(clock);
  uplink.begin({
    // One place is left for the live lane: the library holds back what the broker would not take.
    window: Math.max(1, Math.min(WINDOW_MAX, link.receiveMaximum - 1)),
    room: congestion.room,
    // Delivery is confirmed by an ack, or denied by the end of the session.
    send(payload) {
      const taken = congestion.sent();
      link.publish("log", payload).then(
        () => {
          taken();
          wake.notify();
        },
        () => undefined,
      );
    },
  });
  options.uploads.begin((request) => {
    // Delivery is confirmed by an answer alone.
    const asked = encodeMessage(uploadRequestSchema, request);
    link.publish("upload/request", asked).catch(() => undefined);
  });
  options.keys.begin((payload) => {
    link.publish("keys", payload).catch(() => undefined);
  });
  let seen: number | null = null;
  let listener = wake.subscribe();
  let heard = false;
  while (!signal.aborted) {
    const wrong = problem();
    if (wrong !== null) throw wrong;
    uplink.check();
    options.alive();
    tellStatus();
    const version = logVersion();
    if (version !== seen || heard) {
      // Before every batch: a month of backlog does not delay a visitor at the door now.
      lane.pump();
      if (uplink.pump()) {
        await breathe();
        continue;
      }
      seen = version;
      if (untilAcked) {
        const { halted } = uplink.status();
        if (halted !== null) throw haltedError(halted);
        if (uplink.lag() === 0 && lane.idle()) return;
      }
    }
    options.keys.pump(version);
    options.uploads.pump(uplink.status().acked);
    heard = await listener.wait(POLL_MS, signal);
    listener = wake.subscribe();
  }
}

const AFTER_BACKUP = "was an old backup restored here? then begin anew: porchlight log renew --yes";
const WAY_ON: Readonly<Record<Halt, string>> = {
  fork: AFTER_BACKUP,
  behind: AFTER_BACKUP,
  invalid: "see why, in the centre: porchlight-cloud dead-letters list",
};

/** For `drain`: all will never be acked. */
function haltedError(halted: Halt): PorchlightError {
  const hint = WAY_ON[halted];
  return new PorchlightError("sync.halted", HALTED[halted], { remedy: "stop", hint });
}

/** Publishes the status when it has changed, but not with every ack of a long backlog. */
function createStatus({ uplink, version, clock, statusPublished }: SessionOptions, link: Link) {
  let last = { acked: "", halted: "", atMs: Number.NEGATIVE_INFINITY };
  return (): void => {
    const { acked, halted } = uplink.status();
    const news = acked.hash !== last.acked || (halted ?? "") !== last.halted;
    const atMs = clock.monotonicMs();
    if (atMs - last.atMs < (news ? STATUS_LEAST_MS : STATUS_EVERY_MS)) return;
    last = { acked: acked.hash, halted: halted ?? "", atMs };
    const status = { state: "online", version, acked, lag: uplink.lag(), halted } as const;
    statusPublished();
    // Not waited for: on a slow line that would hold up the live lane. Its failure ends the session.
    link.publish("status", encodeMessage(statusSchema, status), true).catch(() => undefined);
  };
}
