/** Undecodable messages: dead-lettered, and answered with a nack. */
import { messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { type Cursor, startOf } from "../../shared/log/cursor.ts";
import {
  type Batch,
  claimedLog,
  decodeBatch,
  PAYLOAD_BYTES_MAX,
} from "../../shared/protocol/batch.ts";
import type { Nack } from "../../shared/protocol/wire.ts";
import type { CentralLog } from "../log/event-log.ts";

export interface Undecodable {
  readonly device: string;
  readonly payload: Buffer;
  readonly reason: string;
  /** Where its log stands, where that is known. */
  readonly cursor: Cursor | null;
  /** Of its header, where that could be read. */
  readonly nonce: string | null;
}

export interface UndecodableParts {
  readonly log: Pick<CentralLog, "addDeadLetters">;
  readonly answer: (
    device: string,
    answer: { readonly nack: Nack; readonly nonce: string | null },
  ) => void;
  readonly logger: Logger;
}

export function tryDecodeBatch(
  payload: Buffer,
): { readonly batch: Batch } | { readonly batch: null; readonly reason: string } {
  try {
    return { batch: decodeBatch(payload) };
  } catch (error) {
    // Whatever it is that these bytes do to us, they do it as a dead letter.
    return { batch: null, reason: messageOf(error) };
  }
}

/** Stores the dead letters of a group, and answers with the cursors to resend from. */
export async function keepUndecodable(
  group: readonly Undecodable[],
  { log, logger, answer }: UndecodableParts,
): Promise<void> {
  const letters = group.map(({ device, reason, payload }) => {
    // What is too long to be read is too long to be kept whole.
    return { device, reason, payload: payload.subarray(0, PAYLOAD_BYTES_MAX) };
  });
  const kept = await log.addDeadLetters(letters);
  for (const device of new Set(group.map((each) => each.device))) {
    const own = group.filter((each) => each.device === device);
    const stored = kept.filter((each, i) => each.stored && group[i]?.device === device).length;
    const hint = "look at it: porchlight-cloud dead-letters list";
    const { reason } = own[0] ?? {};
    const messages = own.length;
    logger.warn("undecodable message moved to the dead-letter queue", {
      ...{ device, reason, messages, stored, hint },
    });
  }
  for (const [i, { device, payload, cursor, nonce }] of group.entries()) {
    const claimed = cursor === null ? claimedLog(payload) : null;
    const start = claimed === null ? null : startOf(claimed);
    const from = cursor ?? kept[i]?.newest ?? start;
    if (from !== null) answer(device, { nack: { ...from, reason: "invalid" }, nonce });
  }
}
