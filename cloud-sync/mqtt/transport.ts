/** Where batches come from and answers go to: a broker, ours or another. */
import type { Channel, Topic } from "../../shared/protocol/wire.ts";

/**
 * A batch of this device. Resolves once it is in the admission window; throws when aborted. `shared`
 * where waiting would hold up other devices: then what a device has too much of is dropped.
 */
export type OnBatch = (
  device: string,
  payload: Buffer,
  signal: AbortSignal,
  shared?: "shared",
) => Promise<void>;

/**
 * A message outside the log. The handler must neither wait nor throw: there is no back-pressure.
 */
export type OnMessage = (device: string, payload: Buffer) => void;

/**
 * Channels other than the log, and how they are delivered. `broadcast`: to every instance of the centre,
 * since a retained message goes to no shared subscription (MQTT 5, 4.8.2); `shared`: to any one.
 */
export const MESSAGES = {
  status: "broadcast",
  "upload/request": "shared",
  keys: "shared",
} as const satisfies Partial<Record<Channel, "broadcast" | "shared">>;

export type MessageChannel = keyof typeof MESSAGES;

export function isMessage(channel: Channel): channel is MessageChannel {
  return Object.hasOwn(MESSAGES, channel);
}

/** Message handlers: one a channel. */
export interface Receiver {
  readonly onBatch: OnBatch;
  readonly onMessage: Readonly<Record<MessageChannel, OnMessage>>;
}

export interface Transport {
  /** Sets the message handlers. Called once, before it runs. */
  attach(receiver: Receiver): void;
  /** Serves until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when it first receives. */
  readonly ready: Promise<void>;
  /** Sends at least once, unless a connection ends before: no caller may rely on it. */
  publish(topic: Topic, payload: Buffer): void;
  /** Connections that stand. */
  connected(): number;
  /** Why it does not receive or send now; null when it does. */
  problem(): string | null;
}
