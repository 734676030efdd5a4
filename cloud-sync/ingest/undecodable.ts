/** Messages that are no batch, and batches that may not be: they are kept, and the device is told. */

import { PorchlightError } from "../../shared/core/errors.ts";
import { type Cursor, startOf } from "../../shared/log/cursor.ts";
import {
  type Batch,
  claimedLog,
  decodeBatch,
  PAYLOAD_BYTES_MAX,
} from "../../shared/protocol/batch.ts";
import type { IngestOptions } from "./ingest.ts";

export interface Undecodable {
  readonly device: string;
  readonly payload: Buffer;
  readonly reason: string;
  /** Where its log stands, where that is known. */
  readonly cursor: Cursor | null;
  readonly bytes: number;
}

export function readBatch(
  payload: Buffer,
): { readonly batch: Batch } | { readonly batch: null; readonly reason: string } {
  try {
    return { batch: decodeBatch(payload) };
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.remedy !== "reject") throw error;
    return { batch: null, reason: error.message };
  }
}

/** Keeps it, and tells the device from where it may go on. */
export async function shelve(
  { device, payload, reason, cursor }: Undecodable,
  { log, logger, answer }: Pick<IngestOptions, "log" | "logger" | "answer">,
): Promise<void> {
  // What is too long to be read is too long to be kept whole.
  const kept = payload.subarray(0, PAYLOAD_BYTES_MAX);
  const shelved = await log.shelve({ device, reason, payload: kept });
  const claimed = claimedLog(payload);
  const start = claimed === null ? null : startOf(claimed);
  const from = cursor ?? (await log.newest(device)) ?? start;
  const hint = "look at it: porchlight-cloud dead-letters list";
  logger.warn("undecodable message moved to the dead-letter queue", {
    device,
    reason,
    shelved,
    hint,
  });
  if (from !== null) answer(device, { nack: { ...from, reason: "invalid" } });
}
