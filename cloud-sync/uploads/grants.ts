/** Grants uploads to devices: what their log has announced, and no more. */

import { z } from "zod";
import { createBoundary } from "../../shared/core/boundary.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { ENTRY_DATA } from "../../shared/log/entry.ts";
import {
  decodeMessage,
  encodeMessage,
  type Topic,
  type UploadAnswer,
  type UploadRequest,
  uploadGrantSchema,
  uploadRequestSchema,
} from "../../shared/protocol/wire.ts";
import { createRequestQueue } from "../mqtt/request-queue.ts";
import { mediaKey } from "../objects/media-key.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { Database } from "../postgres/database.ts";

export interface UploadStats {
  readonly granted: number;
  readonly held: number;
  readonly refused: number;
  /**
   * Requests that were not answered: malformed, rate limited, or the store was away. Devices ask
   * again.
   */
  readonly dropped: number;
}

export interface Uploads {
  /** A message of an `upload/request` topic. */
  hear(device: string, payload: Buffer): void;
  /** Answers until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  stats(): UploadStats;
}

export interface UploadsOptions {
  readonly database: Pick<Database, "query">;
  readonly objects: Pick<ObjectStore, "open" | "head" | "grantPut">;
  readonly publish: (topic: Topic, payload: Buffer) => void;
  readonly now: () => number;
  readonly logger: Logger;
}

/** A grant's lifetime: 8 MiB take this long at 220 kbit/s, and none should be valid for longer. */
export const GRANT_LIFE_S = 300;
/**
 * Queued requests, of a hundred bytes each: a fleet that reconnects at once. Those beyond it ask
 * again.
 */
const WAITING_MAX = 10_000;
/** A device has two under way; one that asks for more does not get in the way of the others. */
const WAITING_OF_ONE_MAX = 8;
/** Looked up at the same time: each is a statement and a question to the object store. */
const LOOKERS = 4;

const ANNOUNCED = `SELECT body FROM event_log JOIN logs USING (log)
  WHERE log = $1 AND seq = $2 AND logs.device = $3 AND type = 'media.captured'`;
const announcedRows = z.array(z.object({ body: z.string().nullable() }));
const entrySchema = z.object({ data: ENTRY_DATA["media.captured"] });

export function createUploads(options: UploadsOptions): Uploads {
  const { objects, publish, logger } = options;
  const requests = createRequestQueue<UploadRequest>({
    max: WAITING_MAX,
    ofOneMax: WAITING_OF_ONE_MAX,
  });
  const stats = { granted: 0, held: 0, refused: 0, dropped: 0 };
  let opened = false;
  const boundary = createBoundary("upload request", logger);
  const dropWhereItFails = async (device: string, work: () => Promise<true>): Promise<void> => {
    if ((await boundary.eachAsync(device, work)) === undefined) stats.dropped++;
  };
  const answer = (device: string, request: UploadRequest): Promise<void> =>
    dropWhereItFails(device, async () => {
      if (!opened) await objects.open();
      opened = true;
      const decision = await authorizeUpload(options, device, request);
      if ("held" in decision) stats.held++;
      else if ("refused" in decision) stats.refused++;
      else stats.granted++;
      publish({ device, channel: "upload/grant" }, encodeMessage(uploadGrantSchema, decision));
      return true;
    });
  return {
    hear(device, payload) {
      const offered = boundary.each(device, () =>
        requests.offer(device, decodeMessage(uploadRequestSchema, payload)),
      );
      if (offered !== true) stats.dropped++;
    },
    async run(signal) {
      await Promise.all(Array.from({ length: LOOKERS }, () => requests.serve(signal, answer)));
    },
    stats: () => ({ ...stats }),
  };
}

async function authorizeUpload(
  { database, objects, now }: UploadsOptions,
  device: string,
  { log, seq, sha256, bytes }: UploadRequest,
): Promise<UploadAnswer> {
  const rows = announcedRows.parse(await database.query(ANNOUNCED, [log, seq, device]));
  const announced = rows.some(({ body }) => {
    const { data } = entrySchema.safeParse(jsonOf(body));
    return data?.data.sha256 === sha256 && data.data.bytes === bytes;
  });
  if (!announced) return { sha256, refused: "unannounced" };
  const key = mediaKey(device, sha256);
  if ((await objects.head(key)) !== null) return { sha256, held: true };
  const expiresAt = now() + GRANT_LIFE_S * 1_000;
  const grant = await objects.grantPut({ key, sha256, bytes, expiresInS: GRANT_LIFE_S });
  if (grant !== null) return { sha256, ...grant, expiresAt };
  throw new PorchlightError("objects.closed", "objects are written by the centre alone");
}

/** An entry that was emptied has announced nothing any more. */
function jsonOf(body: string | null): unknown {
  return body === null ? null : JSON.parse(body);
}
