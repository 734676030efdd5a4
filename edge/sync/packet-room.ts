/** How large a batch may be for this broker: what it says, and what it has shown. */
import { SEND_BYTES_MAX } from "../../shared/protocol/batch.ts";

/** Header, topic and packet number of a PUBLISH with a topic of ours, and its properties. */
export const PACKET_OVERHEAD_BYTES = 160;
/** Less is all header and round trip. */
const LEAST_BYTES = 4 * 1024;

/**
 * Outlives sessions. A broker of MQTT 3.1.1 does not say what it takes: it closes the connection, and
 * the next session begins with half as much.
 */
export interface PacketRoom {
  /** Bytes that a batch may hold, not compressed; `saidMax` is the broker's own limit of a packet. */
  bytes(saidMax: number | null): number;
  /** A session has ended before anything that it sent was answered: so much, at the most. */
  failed(sentBytes: number): void;
  /** A session was good. */
  answered(): void;
}

export function createPacketRoom(): PacketRoom {
  let shown = SEND_BYTES_MAX;
  return {
    bytes: (saidMax) =>
      Math.max(1, Math.min(shown, (saidMax ?? SEND_BYTES_MAX) - PACKET_OVERHEAD_BYTES)),
    failed(sentBytes) {
      shown = Math.max(LEAST_BYTES, Math.min(shown, sentBytes) / 2);
    },
    answered() {
      // Something else may have ended the last one: what is too much is found again.
      shown = Math.min(SEND_BYTES_MAX, shown * 2);
    },
  };
}
