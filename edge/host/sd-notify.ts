/** Notifies systemd of the daemon's state: sd_notify(3) through systemd-notify(1). */
import { execFile } from "node:child_process";
import type { Logger } from "../../shared/core/logger.ts";

export interface Notifier {
  /** The daemon watches the door. */
  ready(): void;
  /** The configuration is being read again, and was. */
  reloaded(): void;
  stopping(): void;
  /** A frame has reached its decisions. Feeds the watchdog, a few times a period. */
  alive(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

export interface NotifierParts {
  /** $NOTIFY_SOCKET and $WATCHDOG_USEC are set by systemd. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly monotonicMs: () => number;
  readonly logger: Logger;
}

/** The watchdog is fed this many times in its period: one lost message does no harm. */
const FEEDS_PER_PERIOD = 3;
/** `systemctl status` shows what is happening now, not each frame. */
const STATUS_EVERY_MS = 2_000;
const NOTIFY_TIMEOUT_MS = 2_000;

/** Does nothing off systemd. */
export const silentNotifier: Notifier = {
  ready: () => undefined,
  reloaded: () => undefined,
  stopping: () => undefined,
  alive: () => undefined,
  status: () => undefined,
  close: async () => undefined,
};

/** Node has no datagram sockets of the Unix family, so each message is a short-lived process. */
export function createNotifier({ environment, monotonicMs, logger }: NotifierParts): Notifier {
  if (environment["NOTIFY_SOCKET"] === undefined) return silentNotifier;
  const periodMs = Number(environment["WATCHDOG_USEC"] ?? 0) / 1000;
  const under = new Set<Promise<void>>();
  let fedMs = -Infinity;
  let statusMs = -Infinity;
  const send = (...words: string[]): void => {
    const sent = new Promise<void>((done) => {
      const options = { env: { ...environment }, timeout: NOTIFY_TIMEOUT_MS };
      execFile("systemd-notify", words, options, (error) => {
        if (error !== null) logger.warn("sd_notify failed", { reason: error.message });
        under.delete(sent);
        done();
      });
    });
    under.add(sent);
  };
  return {
    ready: () => send("READY=1", "STATUS=watching"),
    reloaded: () => send("STATUS=configuration reloaded"),
    stopping: () => send("STOPPING=1", "STATUS=stopping"),
    alive() {
      const now = monotonicMs();
      if (periodMs <= 0 || now - fedMs < periodMs / FEEDS_PER_PERIOD) return;
      fedMs = now;
      send("WATCHDOG=1");
    },
    status(text) {
      const now = monotonicMs();
      if (now - statusMs < STATUS_EVERY_MS) return;
      statusMs = now;
      send(`STATUS=${text}`);
    },
    async close() {
      await Promise.all(under);
    },
  };
}
