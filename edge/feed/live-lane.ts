/** Gives the agent what a person waits for, ahead of the log; gone once the broker has it. */
import type { Logger } from "../../shared/core/logger.ts";
import type { LiveQueue } from "./ports.ts";
import type { Peer } from "./session.ts";

export interface LiveLane {
  /** A session with the broker begins: what the last one had on its way is sent again. */
  begin(): void;
  /** Hands over whatever is there and not on its way yet. */
  pump(): void;
  /** The broker has it. */
  sent(position: number): void;
  /** How many the broker does not have. */
  waiting(): number;
}

export function createLiveLane(
  { live, logger }: { readonly live: LiveQueue; readonly logger: Logger },
  peer: Pick<Peer, "send">,
): LiveLane {
  const onTheirWay = new Set<number>();
  return {
    begin: () => onTheirWay.clear(),
    pump() {
      for (const { position, channel, payload, stale } of live.read()) {
        if (stale) {
          logger.debug("live message expired", { channel });
          onTheirWay.delete(position);
          live.remove(position);
        } else if (!onTheirWay.has(position)) {
          onTheirWay.add(position);
          peer.send({ type: "live", channel, position }, Buffer.from(payload));
        }
      }
    },
    sent(position) {
      // Whoever names what was never given to it removes nothing.
      if (onTheirWay.delete(position)) live.remove(position);
    },
    waiting: () => live.read().length,
  };
}
