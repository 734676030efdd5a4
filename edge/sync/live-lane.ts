/** Publishes what a person waits for, ahead of the log; gone from the store once the broker has it. */

import { messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { WakeSignal } from "../../shared/core/wake-signal.ts";
import type { Link } from "./link.ts";
import type { LiveQueue } from "./ports.ts";

export interface LiveLane {
  /** Hands over whatever is there and not on its way yet. */
  pump(): void;
  /** Whether nothing is on its way. */
  idle(): boolean;
}

export interface LiveLaneParts {
  readonly live: LiveQueue;
  readonly logger: Logger;
}

/** One session's lane: what it had on its way when it ended is sent again by the next. */
export function createLiveLane(
  { live, logger }: LiveLaneParts,
  {
    link,
    wake,
  }: { readonly link: Pick<Link, "publish">; readonly wake: Pick<WakeSignal, "notify"> },
): LiveLane {
  const onTheirWay = new Set<number>();
  /** With the broker, and not removed yet. */
  const taken = new Set<number>();
  return {
    pump() {
      for (const { position, channel, payload, stale } of live.read()) {
        if (onTheirWay.has(position)) continue;
        if (stale || taken.has(position)) {
          if (!taken.delete(position)) logger.debug("live message expired", { channel });
          live.remove(position);
          continue;
        }
        onTheirWay.add(position);
        link.publish(channel, Buffer.from(payload)).then(
          () => {
            onTheirWay.delete(position);
            taken.add(position);
            wake.notify();
          },
          (error: unknown) => {
            // The session is over, and says why itself.
            onTheirWay.delete(position);
            logger.debug("live message not delivered", { channel, reason: messageOf(error) });
          },
        );
      }
    },
    idle: () => onTheirWay.size === 0,
  };
}
