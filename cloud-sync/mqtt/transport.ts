import type { Channel, Topic } from "../../shared/protocol/wire.ts";

/** Gives a batch to ingest. Resolves when it is in the window; throws when that is given up. */
export type Take = (device: string, payload: Buffer, signal: AbortSignal) => Promise<void>;

/** What a device says beside its log. It must neither wait nor throw: nothing holds it back. */
export type Hear = (topic: Topic, payload: Buffer) => void;

/** Who gets what comes in. */
export interface Receiver {
  readonly take: Take;
  readonly hear: Hear;
}

/**
 * Channels that are heard beside the log. `each`: by every instance of the centre, since a retained
 * message goes to no shared subscription (MQTT 5, 4.8.2); `one`: by any one of them.
 */
export const HEARD = {
  status: "each",
  "upload/request": "one",
  keys: "one",
} as const satisfies Partial<Record<Channel, "each" | "one">>;

export function isHeard(channel: Channel): boolean {
  return Object.hasOwn(HEARD, channel);
}

/** Where batches come from and answers go to: a broker, ours or another. */
export interface Source {
  /** Serves until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when it first receives. */
  readonly ready: Promise<void>;
  /** Sends at least once, unless a connection ends before: nobody may rely on it. */
  publish(topic: Topic, payload: Buffer): void;
  /** Connections that stand. */
  connected(): number;
}
