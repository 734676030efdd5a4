/** Undecodable messages: dead-lettered, and answered with a nack. */

import { PorchlightError } from "../../shared/core/errors.ts";
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
  readonly bytes: number;
}

export interface UndecodableParts {
  readonly log: Pick<CentralLog, "addDeadLetter" | "newest">;
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
    if (!(error instanceof PorchlightError) || error.remedy !== "reject") throw error;
    return { batch: null, reason: error.message };
  }
}

/** Stores the dead letter, and answers with the cursor to resend from. */
export async function keepUndecodable(
  { device, payload, reason, cursor, nonce }: Undecodable,
  { log, logger, answer }: UndecodableParts,
): Promise<void> {
  // What is too long to be read is too long to be kept whole.
  const kept = payload.subarray(0, PAYLOAD_BYTES_MAX);
  const stored = await log.addDeadLetter({ device, reason, payload: kept });
  const claimed = claimedLog(payload);
  const start = claimed === null ? null : startOf(claimed);
  const from = cursor ?? (await log.newest(device)) ?? start;
  const hint = "look at it: porchlight-cloud dead-letters list";
  logger.warn("undecodable message moved to the dead-letter queue", {
    device,
    reason,
    stored,
    hint,
  });
  if (from !== null) answer(device, { nack: { ...from, reason: "invalid" }, nonce });
}
