import { randomUUID } from "node:crypto";
import type { OpenLog } from "../../edge/log/open-log.ts";
import { createUploadedStore } from "../../edge/log/uploaded.ts";
import { createMediaFiles, mediaFolder } from "../../edge/media/media-files.ts";
import { createPut, type Put } from "../../edge/sync/put.ts";
import { createUploads, type Uploads } from "../../edge/sync/uploads.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";

/** The uploads of a device in this folder, as its agent has them. */
export function uploadsOf(
  { reader, database }: Pick<OpenLog, "reader" | "database">,
  folder: string,
  { put = createPut({ ca: undefined }), clock = systemClock, logger = silentLogger } = {},
): Uploads {
  return createUploads({
    reader,
    store: createUploadedStore(database),
    files: createMediaFiles({ folder: mediaFolder(folder), newId: randomUUID }),
    put: put satisfies Put,
    clock,
    random: Math.random,
    logger,
  });
}
