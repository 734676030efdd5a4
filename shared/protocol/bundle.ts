import { z } from "zod";
import { checkedUrl } from "../core/checked-url.ts";
import { printableText } from "../core/printable.ts";
import { SITE_KEY_BYTES } from "../log/site-key.ts";
import { SIGNING_KEY_BYTES } from "./answer-proof.ts";

/** A chain of certificates, or a key. */
const pem = z.string().max(256 * 1_024);

/**
 * What a device needs to reach its centre: made by `porchlight-cloud devices add`, taken by
 * `porchlight sync join`. It holds secrets and is for one device alone.
 */
export const bundleSchema = z.strictObject({
  format: z.literal(1),
  /** The device it is for. */
  device: z.uuid().lowercase(),
  /** Of the broker; TLS by the scheme. No password in it: it would end up in logs. */
  url: checkedUrl(/^(mqtts?|wss?)$/).refine((url) => new URL(url).password === "", {
    message: "a URL with a password ends up in logs: use the field `password`",
  }),
  /** PEM of the authority that signed the broker's certificate; the system's when absent. */
  ca: pem.optional(),
  /** PEM of the device's own certificate and key, where it proves itself by them. */
  certificate: pem.optional(),
  key: pem.optional(),
  username: printableText(256).optional(),
  password: printableText(1_024).optional(),
  /** X25519 public key of the site: what the owner releases to it is wrapped for this key. */
  site: z
    .base64()
    .refine((text) => Buffer.from(text, "base64").length === SITE_KEY_BYTES, "32 bytes")
    .optional(),
  /** Ed25519 public key that the site signs its acks with; absent in bundles of earlier versions. */
  signing: z
    .base64()
    .refine((text) => Buffer.from(text, "base64").length === SIGNING_KEY_BYTES, "32 bytes")
    .optional(),
});
export type Bundle = z.infer<typeof bundleSchema>;
