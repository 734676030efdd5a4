import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
import { isSafeUrl } from "../../shared/protocol/wire.ts";
import { s3Account, wholeAccount } from "../config/s3-account.ts";
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
    ...s3Account,
  })
  .superRefine(wholeAccount)
  .refine(({ url, publicUrl }) => url === undefined || publicUrl !== undefined || isSafeUrl(url), {
    error:
      "devices send nothing without TLS to another machine: objects.publicUrl, https://…, names the same server as they reach it",
  })
  .prefault({});
