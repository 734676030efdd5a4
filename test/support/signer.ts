import { generateKeyPairSync } from "node:crypto";
import { type AnswerSigner, answerSigner } from "../../shared/protocol/answer-proof.ts";

/** The signing key of a new site. */
export function newSigner(): AnswerSigner {
  const { privateKey } = generateKeyPairSync("ed25519");
  return answerSigner(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
}
