import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { invariant, PorchlightError } from "../core/errors.ts";
import { canonicalJson } from "./chain.ts";
import type { PersonalClass } from "./entry.ts";

/*
 * A sealed field, base64 in the entry:
 *
 *     nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)          AES-256-GCM (NIST SP 800-38D)
 *
 * The additional data binds it to its place: the canonical JSON array
 * [log, seq, type, subject, class] in UTF-8. Moved elsewhere, it does not open.
 */
const CIPHER = "aes-256-gcm";
export const SUBJECT_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Where a sealed field stands. */
export interface SealPlace {
  readonly log: string;
  readonly seq: number;
  readonly type: string;
  readonly subject: string;
  readonly class: PersonalClass;
}

function additionalData(place: SealPlace): Buffer {
  const { log, seq, type, subject, class: personalClass } = place;
  return Buffer.from(canonicalJson([log, seq, type, subject, personalClass]), "utf8");
}

/**
 * Encrypts personal content under a subject's key of one class.
 * Nonces are random: a key seals far fewer than the 2^32 messages that allows.
 */
export function seal(key: Uint8Array, place: SealPlace, plain: Uint8Array): string {
  invariant(key.length === SUBJECT_KEY_BYTES, "a subject key has 32 bytes");
  return encrypt(key, additionalData(place), plain).toString("base64");
}

/** Opens a sealed field. Throws `seal.broken` when key, place or bytes are not the sealed ones. */
export function unseal(key: Uint8Array, place: SealPlace, sealed: string): Buffer {
  try {
    return decrypt(key, additionalData(place), Buffer.from(sealed, "base64"));
  } catch (cause) {
    const where = `${place.class} of entry ${place.seq} (${place.type})`;
    throw new PorchlightError("seal.broken", `the ${where} does not open with its key`, {
      remedy: "reject",
      hint: "check the log: porchlight log verify",
      cause,
    });
  }
}

/*
 * An object beside the log, such as a snapshot: the same bytes, not in base64, under a key of its
 * own that stands sealed in the entry `media.captured`. The additional data is the canonical JSON
 * array ["media", media] in UTF-8, `media` being the id in that entry.
 */
export function sealObject(key: Uint8Array, media: string, plain: Uint8Array): Buffer {
  invariant(key.length === SUBJECT_KEY_BYTES, "an object's key has 32 bytes");
  return encrypt(key, objectData(media), plain);
}

/** Opens an object. Throws `seal.broken` when key, id or bytes are not the sealed ones. */
export function unsealObject(key: Uint8Array, media: string, sealed: Uint8Array): Buffer {
  try {
    return decrypt(key, objectData(media), Buffer.from(sealed));
  } catch (cause) {
    throw new PorchlightError("seal.broken", `the object of ${media} does not open with its key`, {
      remedy: "reject",
      hint: "see the snapshots of the visit: porchlight visits show <visit>",
      cause,
    });
  }
}

function objectData(media: string): Buffer {
  return Buffer.from(canonicalJson(["media", media]), "utf8");
}

function encrypt(key: Uint8Array, about: Buffer, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(about);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, about: Buffer, bytes: Buffer): Buffer {
  // GCM would accept a shorter tag, and a short tag is soon guessed (SP 800-38D, appendix C).
  invariant(bytes.length >= NONCE_BYTES + TAG_BYTES, "shorter than its nonce and tag");
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(about).setAuthTag(bytes.subarray(-TAG_BYTES));
  const ciphertext = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}
