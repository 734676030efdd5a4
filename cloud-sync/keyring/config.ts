import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

export const siteConfig = z
  .strictObject({
    key: z
      .string()
      .optional()
      .meta(
        setting(
          "Site key file",
          "PEM file of the key that owners release to (default: <data>/keys/site.key, made at the first start); the same on every instance that runs sinks",
        ),
      ),
    signingKey: z
      .string()
      .optional()
      .meta(
        setting(
          "Signing key file",
          "PEM file of the key that acks are signed with (default: <data>/keys/signing.key, made at the first start); the same on every instance",
        ),
      ),
  })
  .prefault({});
