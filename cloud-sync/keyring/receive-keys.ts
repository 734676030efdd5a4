/**
 * Receives released keys, and acknowledges them after the commit: until then devices resend them.
 */
import { createHash } from "node:crypto";
import { type Boundary, createBoundary } from "../../shared/core/boundary.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { siteIdOf } from "../../shared/log/site-key.ts";
import { unwrapKey } from "../../shared/log/wrap.ts";
import {
  decodeMessage,
  encodeMessage,
  type KeysAck,
  type KeysMessage,
  keysAckSchema,
  keysSchema,
  type Topic,
} from "../../shared/protocol/wire.ts";
import { createRequestQueue } from "../mqtt/request-queue.ts";
import type { Keyring, ReleasedKey } from "./keyring.ts";
import type { SiteKey } from "./site-key.ts";

export interface KeyStats {
  /** Keys that were kept or taken back, and such as did not open. */
  readonly kept: number;
  readonly refused: number;
  /** Messages that were not understood, not for this site, or too many at once. */
  readonly dropped: number;
}

export interface KeyReceiver {
  /** A message of a `keys` topic. */
  hear(device: string, payload: Buffer): void;
  /** Keeps and answers until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  stats(): KeyStats;
}

export interface KeyReceiverOptions {
  readonly keyring: Pick<Keyring, "keep">;
  readonly site: SiteKey;
  readonly publish: (topic: Topic, payload: Buffer) => void;
  readonly logger: Logger;
}

/** 22 kB each at the most. A device whose message is dropped resends it. */
const WAITING_MAX = 1_000;
/** A device waits for the ack before its next message; a second one may be a repetition. */
const WAITING_OF_ONE_MAX = 2;

interface Heard {
  readonly sha256: string;
  readonly message: KeysMessage;
}

export function createKeyReceiver(options: KeyReceiverOptions): KeyReceiver {
  return new Receiver(options);
}

class Receiver implements KeyReceiver {
  readonly #options: KeyReceiverOptions;
  readonly #siteId: string;
  readonly #requests = createRequestQueue<Heard>({
    max: WAITING_MAX,
    ofOneMax: WAITING_OF_ONE_MAX,
  });
  readonly #stats = { kept: 0, refused: 0, dropped: 0 };
  readonly #boundary: Boundary;

  constructor(options: KeyReceiverOptions) {
    this.#options = options;
    this.#boundary = createBoundary("released keys", options.logger);
    this.#siteId = siteIdOf(options.site.publicKey);
  }

  hear(device: string, payload: Buffer): void {
    const offered = this.#boundary.each(device, () => {
      const message = decodeMessage(keysSchema, payload);
      const sha256 = createHash("sha256").update(payload).digest("hex");
      return this.#requests.offer(device, { sha256, message });
    });
    if (offered !== true) this.#stats.dropped++;
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#requests.serve(signal, (device, heard) => this.#answer(device, heard));
  }

  stats(): KeyStats {
    return { ...this.#stats };
  }

  async #answer(device: string, { sha256, message }: Heard): Promise<void> {
    const { publish, logger } = this.#options;
    // What fails is not acknowledged: the device resends it.
    const answered = await this.#boundary.eachAsync(device, async () => {
      const refused = await this.#keep(device, message);
      const answer: KeysAck = refused === null ? { sha256 } : { sha256, refused };
      if (refused !== null) {
        this.#stats.dropped++;
        const hint = "see whose keys are here: porchlight-cloud keys list";
        logger.warn("released keys refused", { device, reason: refused, hint });
      }
      publish({ device, channel: "keys/ack" }, encodeMessage(keysAckSchema, answer));
      return true;
    });
    if (answered !== true) this.#stats.dropped++;
  }

  async #keep(device: string, message: KeysMessage): Promise<"site" | "full" | null> {
    const { site, keys } = message;
    const own = site === this.#siteId;
    if (!own && keys.some(({ wrapped }) => wrapped !== null)) return "site";
    const good: ReleasedKey[] = [];
    for (const key of keys) if (await this.#opens(device, key)) good.push(key);
    const bad = keys.length - good.length;
    if (bad > 0) {
      this.#stats.refused += bad;
      this.#options.logger.warn("released keys rejected: they do not unwrap", { device, bad });
    }
    if (good.length > 0 && !(await this.#options.keyring.keep(device, site, good))) return "full";
    this.#stats.kept += good.length;
    return null;
  }

  /** Whether it is what it says; an instance without the private key finds out when it is used. */
  async #opens(device: string, { subject, class: of, wrapped }: ReleasedKey): Promise<boolean> {
    const { privateKey } = this.#options.site;
    if (wrapped === null || privateKey === null) return true;
    try {
      await unwrapKey(privateKey, { device, subject, class: of }, Buffer.from(wrapped, "base64"));
      return true;
    } catch (error) {
      if (!(error instanceof PorchlightError) || error.code !== "wrap.broken") throw error;
      return false;
    }
  }
}
