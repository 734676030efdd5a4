/**
 * Subject keys on their way to a site: HPKE (RFC 9180), base mode, one message a key. The only home
 * of @hpke/core.
 *
 *     ephemeral X25519 public key (32 bytes) ‖ ciphertext (32) ‖ tag (16)
 *
 *     DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
 *     info   "porchlight/v1/keys" in UTF-8
 *     aad    the canonical JSON array [device, subject, class] in UTF-8
 *
 * Whoever says that it is another's key, or of another class, finds that it does not open.
 */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { invariant, PorchlightError } from "../core/errors.ts";
import { canonicalJson } from "./chain.ts";
import type { PersonalClass } from "./entry.ts";
import { SUBJECT_KEY_BYTES } from "./seal.ts";
import { SITE_KEY_BYTES, WRAPPED_BYTES } from "./site-key.ts";

const INFO = Buffer.from("porchlight/v1/keys", "utf8");

/** Whose key it is, and of what. */
export interface WrapPlace {
  readonly device: string;
  readonly subject: string;
  readonly class: PersonalClass;
}

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});

/** Wraps a subject's key for a site: only who has the site's private key can open it. */
export async function wrapKey(
  sitePublicKey: Uint8Array,
  place: WrapPlace,
  key: Uint8Array,
): Promise<Buffer> {
  invariant(sitePublicKey.length === SITE_KEY_BYTES, "a site's key has 32 bytes");
  invariant(key.length === SUBJECT_KEY_BYTES, "a subject key has 32 bytes");
  const recipientPublicKey = await suite.kem.deserializePublicKey(bytesOf(sitePublicKey));
  const sender = await suite.createSenderContext({ recipientPublicKey, info: bytesOf(INFO) });
  const sealed = await sender.seal(bytesOf(key), additionalData(place));
  const wrapped = Buffer.concat([Buffer.from(sender.enc), Buffer.from(sealed)]);
  invariant(wrapped.length === WRAPPED_BYTES, "a wrapped key has its length");
  return wrapped;
}

/** Opens a wrapped key. Throws `wrap.broken` where it is not of this place or not for this site. */
export async function unwrapKey(
  sitePrivateKey: Uint8Array,
  place: WrapPlace,
  wrapped: Uint8Array,
): Promise<Buffer> {
  try {
    invariant(wrapped.length === WRAPPED_BYTES, "a wrapped key has its length");
    const recipientKey = await suite.kem.deserializePrivateKey(bytesOf(sitePrivateKey));
    const enc = bytesOf(wrapped.subarray(0, SITE_KEY_BYTES));
    const recipient = await suite.createRecipientContext({
      recipientKey,
      enc,
      info: bytesOf(INFO),
    });
    const sealed = bytesOf(wrapped.subarray(SITE_KEY_BYTES));
    return Buffer.from(await recipient.open(sealed, additionalData(place)));
  } catch (cause) {
    throw new PorchlightError("wrap.broken", `a key of the class ${place.class} does not open`, {
      remedy: "reject",
      hint: "was it released to another site? see which are here: porchlight-cloud keys list",
      cause,
    });
  }
}

function additionalData({ device, subject, class: personalClass }: WrapPlace): ArrayBuffer {
  return bytesOf(Buffer.from(canonicalJson([device, subject, personalClass]), "utf8"));
}

/** A copy of its own: the memory behind a Buffer may be shared with others. */
function bytesOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
