import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
import { isSafeUrl } from "../../shared/protocol/wire.ts";
import { deviceUrl, serverUrl } from "../config/server-url.ts";

export const objectsConfig = z
  .strictObject({
    folder: z.string().optional().meta(setting("Folder", "of our own (default: <data>/objects)")),
    url: serverUrl.optional().meta(setting("S3 URL", "an S3 server, instead of a folder")),
    publicUrl: deviceUrl
      .optional()
      .meta(
        setting(
          "S3 URL for devices",
          "as devices reach that server, by https (default: objects.url)",
        ),
      ),
    ca: z
      .string()
      .optional()
      .meta(
        setting("Authority", "PEM file of the authority behind the certificate of objects.url"),
      ),
    bucket: z.string().min(3).max(63).optional().meta(setting("Bucket", "it has to exist")),
    region: z.string().default("us-east-1").meta(setting("Region", "that requests are signed for")),
    accessKeyId: z.string().optional().meta(setting("Access key id", "of the S3 account")),
    secretAccessKey: z.string().optional().meta(setting("Secret access key", "of the S3 account")),
    forcePathStyle: z
      .boolean()
      .default(true)
      .meta(setting("Path style", "the bucket in the path: most servers but Amazon's want it")),
  })
  .refine(({ url, folder }) => url === undefined || folder === undefined, {
    error: "either a folder or a url",
  })
  .refine(
    ({ url, bucket, accessKeyId, secretAccessKey }) =>
      url === undefined || ![bucket, accessKeyId, secretAccessKey].includes(undefined),
    { error: "an S3 server needs bucket, accessKeyId and secretAccessKey" },
  )
  .refine(({ url, publicUrl }) => url === undefined || publicUrl !== undefined || isSafeUrl(url), {
    error:
      "devices send nothing without TLS to another machine: objects.publicUrl, https://…, names the same server as they reach it",
  })
  .prefault({});
