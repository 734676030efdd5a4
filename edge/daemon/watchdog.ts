/**
 * Feeds systemd's watchdog: the event loop does, for as long as it turns. A camera that gives nothing
 * is no reason to stop, a restart would not bring it back; a frame that never comes back from the nets
 * is the one there is.
 */
import type { Clock } from "../../shared/core/clock.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Notifier } from "../host/sd-notify.ts";

export interface Watchdog {
  /** A frame is being worked on … */
  began(): void;
  /** … and has reached its decisions, or could not be read. */
  done(): void;
  stop(): void;
}

export interface WatchdogParts {
  readonly notifier: Pick<Notifier, "alive" | "status">;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
}

const FEED_EVERY_MS = 1_000;
/** The slowest board takes seconds for a frame full of faces. */
export const STUCK_MS = 120_000;

export function startWatchdog({ notifier, clock, logger }: WatchdogParts): Watchdog {
  let sinceMs: number | null = null;
  let told = false;
  const feed = (): void => {
    const workedMs = sinceMs === null ? 0 : clock.monotonicMs() - sinceMs;
    if (workedMs < STUCK_MS) {
      notifier.alive();
      return;
    }
    if (!told) logger.error("a frame does not come back: the watchdog is not fed", { workedMs });
    told = true;
  };
  const timer = setInterval(feed, FEED_EVERY_MS);
  timer.unref();
  return {
    began() {
      sinceMs = clock.monotonicMs();
    },
    done() {
      sinceMs = null;
      told = false;
    },
    stop: () => clearInterval(timer),
  };
}
