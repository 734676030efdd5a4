/** Publishes what a person waits for, ahead of the log; gone from the store once the broker has it. */

import { messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Bell } from "../../shared/core/wake-signal.ts";
import type { LiveRows } from "../log/live-rows.ts";
import { isDiskFull } from "../store/disk-full.ts";
import type { Link } from "./link.ts";

export interface LiveLane {
  /** Hands over whatever is there and not on its way yet. */
  pump(): void;
  /** Whether nothing is on its way. */
  idle(): boolean;
}

export interface LiveLaneParts {
  readonly live: LiveRows;
  readonly logger: Logger;
}

/** One session's lane: what it had on its way when it ended is sent again by the next. */
export function createLiveLane(
  { live, logger }: LiveLaneParts,
  { link, bell }: { readonly link: Pick<Link, "publish">; readonly bell: Pick<Bell, "ring"> },
): LiveLane {
  const onTheirWay = new Set<number>();
  /** With the broker, but still in the store: a full disk takes not even a deletion. */
  const taken = new Set<number>();
  const remove = (position: number): void => {
    try {
      live.remove(position);
      taken.delete(position);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      taken.add(position);
    }
  };
  return {
    pump() {
      for (const { position, channel, payload, stale } of live.read()) {
        if (onTheirWay.has(position)) continue;
        if (stale || taken.has(position)) {
          if (stale && !taken.has(position))
            logger.debug("too old to be told at once", { channel });
          remove(position);
          continue;
        }
        onTheirWay.add(position);
        link.publish(channel, Buffer.from(payload)).then(
          () => {
            onTheirWay.delete(position);
            taken.add(position);
            bell.ring();
          },
          (error: unknown) => {
            // The session is over, and says why itself.
            onTheirWay.delete(position);
            logger.debug("not told at once", { channel, reason: messageOf(error) });
          },
        );
      }
    },
    idle: () => onTheirWay.size === 0,
  };
}
