/**
 * A site's signature under its acks and nacks: whoever stands between the centre and the daemon (a
 * broker, the agent, another device) can hold an answer back, and can neither make one nor bring an
 * old one again.
 *
 *     Ed25519 (RFC 8032) over the canonical JSON array, in UTF-8,
 *     ["porchlight/v1/answer", site, nonce, device, verdict, log, seq, hash]
 *
 *     site      SHA-256 of the raw public key, lowercase hex
 *     nonce     of the batch that is answered
 *     verdict   "ack", or the reason of a nack
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { invariant } from "../core/errors.ts";
import { canonicalJson } from "../log/chain.ts";
import type { Cursor } from "../log/cursor.ts";
import type { Nack, Proof } from "./wire.ts";

/** Of either half. */
export const SIGNING_KEY_BYTES = 32;

/** What is signed, besides the site and the nonce. */
export interface Claim {
  readonly device: string;
  readonly verdict: "ack" | Nack["reason"];
  readonly cursor: Cursor;
}

export interface AnswerSigner {
  /** Raw public key (RFC 8032, section 5.1.5). */
  readonly publicKey: Buffer;
  sign(claim: Claim, nonce: string): Proof;
}

export interface AnswerVerifier {
  /** SHA-256 of the public key. */
  readonly site: string;
  verify(claim: Claim, proof: Proof): boolean;
}

/** From the PEM of the private key (PKCS #8, RFC 8410). Throws where it is none for Ed25519. */
export function answerSigner(pem: string): AnswerSigner {
  const privateKey = createPrivateKey(pem);
  invariant(privateKey.asymmetricKeyType === "ed25519", "answers are signed with Ed25519");
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  const publicKey = Buffer.from(x, "base64url");
  const site = signingSiteId(publicKey);
  return {
    publicKey,
    sign(claim, nonce) {
      const signature = sign(null, signedBytes(site, nonce, claim), privateKey).toString("base64");
      return { site, nonce, signature };
    },
  };
}

/** From the raw public key of a site. */
export function answerVerifier(publicKey: Uint8Array): AnswerVerifier {
  invariant(publicKey.length === SIGNING_KEY_BYTES, "a public key for Ed25519 has 32 bytes");
  const x = Buffer.from(publicKey).toString("base64url");
  const key: KeyObject = createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x },
    format: "jwk",
  });
  const site = signingSiteId(publicKey);
  return {
    site,
    verify: (claim, proof) =>
      proof.site === site &&
      verify(
        null,
        signedBytes(site, proof.nonce, claim),
        key,
        Buffer.from(proof.signature, "base64"),
      ),
  };
}

/** The name of a site: SHA-256 of its public signing key, lowercase hex. */
function signingSiteId(publicKey: Uint8Array): string {
  return createHash("sha256").update(publicKey).digest("hex");
}

function signedBytes(site: string, nonce: string, { device, verdict, cursor }: Claim): Buffer {
  const { log, seq, hash } = cursor;
  const signed = ["porchlight/v1/answer", site, nonce, device, verdict, log, seq, hash];
  return Buffer.from(canonicalJson(signed), "utf8");
}
