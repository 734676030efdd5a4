/** The public keys of the site, as `sync join` has placed them for the daemon. */
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { SITE_KEY_BYTES } from "../../shared/log/site-key.ts";
import { type AnswerVerifier, answerVerifier } from "../../shared/protocol/answer-proof.ts";
import { replaceFile } from "../host/atomic-file.ts";

export interface PlacedSiteKey {
  readonly key: Buffer;
  /** When this device joined: wall clock, ms since the epoch. */
  readonly placedAtMs: number;
}

/**
 * What keys are wrapped for. Null where this device has joined no site that has one. Throws
 * `site.key.invalid`.
 */
export function readSiteKey(path: string): PlacedSiteKey | null {
  const key = readPublicKey(path);
  return key === null ? null : { key, placedAtMs: statSync(path).mtimeMs };
}

/** Whose answers count. Null where answers are not signed: a centre of an earlier version. */
export function readAnswerVerifier(path: string): AnswerVerifier | null {
  const key = readPublicKey(path);
  return key === null ? null : answerVerifier(key);
}

/**
 * Places a public key (base64), or takes the one of another site away. It is no secret, but must be
 * the right one.
 */
export function placePublicKey(path: string, key: string | undefined): void {
  if (key === undefined) {
    rmSync(path, { force: true });
    return;
  }
  // Whoever joins is root on an installed device, and the daemon reads it.
  replaceFile(path, `${key}\n`, { mode: 0o644 });
}

/** Of X25519 and of Ed25519 alike: 32 bytes. */
function readPublicKey(path: string): Buffer | null {
  if (!existsSync(path)) return null;
  const key = Buffer.from(readFileSync(path, "utf8"), "base64");
  if (key.length === SITE_KEY_BYTES) return key;
  throw new PorchlightError("site.key.invalid", `${path} holds no public key of a site`, {
    exitCode: EXIT.config,
    hint: "rejoin with a new bundle: porchlight sync join BUNDLE",
  });
}
