import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

export const tlsConfig = z
  .strictObject({
    certificate: z
      .string()
      .optional()
      .meta(
        setting(
          "Certificate",
          "PEM file, with its chain (default: one of our own, made when it is needed)",
        ),
      ),
    key: z.string().optional().meta(setting("Private key", "PEM file of its private key")),
    names: z
      .array(z.string().min(1))
      .default([])
      .meta(setting("Names", "by which devices reach us, for a certificate of our own")),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    error: "certificate and key go together",
  })
  .prefault({});
