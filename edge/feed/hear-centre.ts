import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { HEARD_CHANNELS } from "../../shared/protocol/feed.ts";
import {
  ackSchema,
  decodeMessage,
  keysAckSchema,
  nackSchema,
  uploadGrantSchema,
} from "../../shared/protocol/wire.ts";
import type { ReleasedKeys } from "./released-keys.ts";
import type { Uplink } from "./uplink.ts";
import type { Uploads } from "./uploads.ts";

export interface Hearing {
  readonly uplink: Uplink;
  readonly uploads: Uploads;
  readonly keys: ReleasedKeys;
  readonly logger: Logger;
}

/**
 * Takes a message of the centre; false where it is malformed. That is a fault of the other end: it is
 * logged, and changes nothing here.
 */
export function hearCentre(
  { uplink, uploads, keys, logger }: Hearing,
  channel: (typeof HEARD_CHANNELS)[number],
  payload: Buffer,
): boolean {
  try {
    if (channel === "ack") uplink.onAck(decodeMessage(ackSchema, payload));
    else if (channel === "nack") uplink.onNack(decodeMessage(nackSchema, payload));
    else if (channel === "keys/ack") keys.onAck(decodeMessage(keysAckSchema, payload));
    else uploads.onGrant(decodeMessage(uploadGrantSchema, payload));
    return true;
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.remedy !== "reject") throw error;
    logger.warn("message from the centre invalid", { channel, reason: messageOf(error) });
    return false;
  }
}
