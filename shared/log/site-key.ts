/**
 * The key of a site (X25519, RFC 7748): what an owner releases is wrapped for its public half
 * (wrap.ts), and whoever has its private half can open that.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { invariant } from "../core/errors.ts";
import { SUBJECT_KEY_BYTES } from "./seal.ts";

/** Of either half. */
export const SITE_KEY_BYTES = 32;
const TAG_BYTES = 16;
/** An ephemeral public key, a subject's key and a tag. */
export const WRAPPED_BYTES = SITE_KEY_BYTES + SUBJECT_KEY_BYTES + TAG_BYTES;

export interface SitePair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

/** Both halves, out of the PEM of the private one (PKCS #8, RFC 8410). Throws where it is none. */
export function sitePairOf(pem: string): SitePair {
  const key = createPrivateKey(pem);
  invariant(key.asymmetricKeyType === "x25519", "a site's key is for X25519");
  return { publicKey: halfOf(createPublicKey(key), "x"), privateKey: halfOf(key, "d") };
}

/** The raw bytes of a half (RFC 8037, section 2). */
function halfOf(key: KeyObject, half: "x" | "d"): Buffer {
  const bytes = Buffer.from(key.export({ format: "jwk" })[half] ?? "", "base64url");
  invariant(bytes.length === SITE_KEY_BYTES, "a key for X25519 has 32 bytes");
  return bytes;
}

/** What it is called in messages: SHA-256 of its public half, in lowercase hex. */
export function siteIdOf(publicKey: Uint8Array): string {
  return createHash("sha256").update(publicKey).digest("hex");
}

const FINGERPRINT_DIGITS = 32;

/** The beginning of that, 128 bits, as two people can compare it over the telephone. */
export function fingerprintOf(publicKey: Uint8Array): string {
  const digits = siteIdOf(publicKey).slice(0, FINGERPRINT_DIGITS);
  return digits.match(/.{4}/g)?.join(" ") ?? digits;
}
