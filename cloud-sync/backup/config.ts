import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
import { s3Account, wholeAccount } from "../config/s3-account.ts";
import { serverUrl } from "../config/server-url.ts";

export const backupConfig = z
  .strictObject({
    folder: z
      .string()
      .min(1)
      .optional()
      .meta(setting("Folder", "where backups of the embedded database go: on another disk")),
    url: serverUrl.optional().meta(setting("S3 URL", "an S3 server, instead of a folder")),
    ca: z
      .string()
      .optional()
      .meta(setting("Authority", "PEM file of the authority behind the certificate of backup.url")),
    ...s3Account,
    key: z
      .string()
      .optional()
      .meta(
        setting(
          "Key",
          "file of the key that backups are encrypted with (default: <data>/keys/backup.key): keep a copy elsewhere, without it they are worth nothing",
        ),
      ),
  })
  .superRefine(wholeAccount)
  .prefault({});
