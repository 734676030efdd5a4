import { randomUUID } from "node:crypto";
import { type BringObject, createUploads, type Uploads } from "../../edge/feed/uploads.ts";
import { UNSIGNED_SITE } from "../../edge/log/acked.ts";
import type { OpenLog } from "../../edge/log/open-log.ts";
import { createUploadedStore } from "../../edge/log/uploaded.ts";
import { createMediaFiles, mediaFolder } from "../../edge/media/media-files.ts";
import { createPut, type Put } from "../../edge/sync/put.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";

/** Brings sealed objects of this folder where they are wanted, as an agent does. */
export function bringing(folder: string, put: Put): BringObject {
  const files = createMediaFiles({ folder: mediaFolder(folder), newId: randomUUID });
  return async ({ sha256, ...target }, signal) => {
    const body = files.read(sha256);
    return body === null ? null : (await put(target, body, signal)).status;
  };
}

/** The uploads of a device in this folder, as its agent has them. */
export function uploadsOf(
  { reader, database }: Pick<OpenLog, "reader" | "database">,
  folder: string,
  {
    put = createPut({ ca: undefined, local: true }),
    clock = systemClock,
    logger = silentLogger,
  } = {},
): Uploads {
  return createUploads({
    reader,
    store: createUploadedStore(database, UNSIGNED_SITE),
    bring: bringing(folder, put),
    clock,
    random: Math.random,
    logger,
  });
}
