import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
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
    bucket: z.string().min(3).max(63).optional().meta(setting("Bucket", "it has to exist")),
    region: z.string().default("us-east-1").meta(setting("Region", "that requests are signed for")),
    accessKeyId: z.string().optional().meta(setting("Access key id", "of the S3 account")),
    secretAccessKey: z.string().optional().meta(setting("Secret access key", "of the S3 account")),
    forcePathStyle: z
      .boolean()
      .default(true)
      .meta(setting("Path style", "the bucket in the path: most servers but Amazon's want it")),
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
  .refine(({ url, folder }) => url === undefined || folder === undefined, {
    error: "either a folder or a url",
  })
  .refine(
    ({ url, bucket, accessKeyId, secretAccessKey }) =>
      url === undefined || ![bucket, accessKeyId, secretAccessKey].includes(undefined),
    { error: "an S3 server needs bucket, accessKeyId and secretAccessKey" },
  )
  .prefault({});
