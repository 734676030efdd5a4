import type { MessageChannel, OnBatch, Receiver } from "../../cloud-sync/mqtt/transport.ts";
import type { Topic } from "../../shared/protocol/wire.ts";

/** A receiver that is told of every message beside the log in one place. */
export function receiverOf(
  onBatch: OnBatch = async () => undefined,
  heard: (topic: Topic, payload: Buffer) => void = () => undefined,
): Receiver {
  const on = (channel: MessageChannel) => (device: string, payload: Buffer) =>
    heard({ device, channel }, payload);
  return {
    onBatch,
    onMessage: {
      status: on("status"),
      "upload/request": on("upload/request"),
      keys: on("keys"),
    },
  };
}
