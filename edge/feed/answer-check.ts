import type { Logger } from "../../shared/core/logger.ts";
import type { AnswerVerifier, Claim } from "../../shared/protocol/answer-proof.ts";
import type { Proof } from "../../shared/protocol/wire.ts";

export interface AnswerCheckOptions {
  /** Of the site that was joined; null where its bundle names no signing key: an earlier version. */
  readonly verifier: AnswerVerifier | null;
  /** Who the centre knows this device as. */
  readonly device: string;
  readonly logger: Logger;
}

/** Whether this site has said so, in this session. */
export class AnswerCheck {
  readonly #options: AnswerCheckOptions;
  #nonce: string | null = null;

  constructor(options: AnswerCheckOptions) {
    this.#options = options;
  }

  begin(nonce: string | null): void {
    this.#nonce = nonce;
  }

  isGenuine(said: Omit<Claim, "device">, proof: Proof | undefined): boolean {
    const { verifier, device, logger } = this.#options;
    if (verifier === null) return true;
    const genuine = proof?.nonce === this.#nonce && verifier.verify({ ...said, device }, proof);
    // What the centre could not read has no nonce that it could have signed.
    if (!genuine && said.verdict !== "invalid") {
      logger.warn("answer ignored: this site has not signed it for this session", {
        verdict: said.verdict,
        seq: said.cursor.seq,
        hint: "if it goes on, rejoin with a new bundle: porchlight-cloud devices rotate",
      });
    }
    return genuine;
  }
}
