/**
 * Sends released keys to the centre, wrapped as the daemon put them into the outbox, and
 * revocations. A message is done when the centre has committed it; until then it is resent, and
 * only then comes the next.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../shared/core/clock.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs } from "../../shared/core/retry.ts";
import {
  encodeMessage,
  KEYS_MAX,
  type KeysAck,
  type KeysMessage,
  keysSchema,
} from "../../shared/protocol/wire.ts";
import type { KeyQueue, QueuedKey } from "./ports.ts";

export interface ReleasedKeys {
  /** A session begins: what the last one has no ack of is resent. */
  begin(send: (payload: Buffer) => void): void;
  /**
   * Does what is due; cheap when nothing is. `version` changes when another process has written.
   */
  pump(version: number): void;
  onAck(ack: KeysAck): void;
}

export interface ReleasedKeysOptions {
  readonly rows: KeyQueue;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** As for the log: a commit takes milliseconds. */
export const KEYS_TIMEOUT_MS = 20_000;
/** Retry interval, long: it is not urgent, and an older centre does not know the channel. */
const BACKOFF = { firstMs: 1_000, maxMs: 300_000 };

const WAY_ON = {
  site: "rejoin with a new bundle: porchlight-cloud devices rotate, then: porchlight sync join",
  full: "release less (sync.release), or see in the centre: porchlight-cloud keys list",
} as const;

export function createReleasedKeys(options: ReleasedKeysOptions): ReleasedKeys {
  return new KeysInTurn(options);
}

class KeysInTurn implements ReleasedKeys {
  readonly #options: ReleasedKeysOptions;
  #send: (payload: Buffer) => void = () => undefined;
  #asked: {
    readonly sha256: string;
    readonly rows: readonly QueuedKey[];
    readonly sentAtMs: number;
  } | null = null;
  /** The version of the store in which nothing waited. */
  #idleAt: number | null = null;
  #attempts = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReleasedKeysOptions) {
    this.#options = options;
  }

  begin(send: (payload: Buffer) => void): void {
    this.#send = send;
    this.#asked = null;
    this.#idleAt = null;
  }

  pump(version: number): void {
    const { rows, clock } = this.#options;
    const now = clock.monotonicMs();
    if (this.#asked !== null) {
      if (now - this.#asked.sentAtMs < KEYS_TIMEOUT_MS) return;
      this.#asked = null;
      this.#later(now);
    }
    if (now < this.#notBeforeMs || version === this.#idleAt) return;
    const next = rows.next(KEYS_MAX);
    const [first] = next;
    if (first === undefined) {
      this.#idleAt = version;
      return;
    }
    const payload = messageOf(first.site, next);
    const sha256 = createHash("sha256").update(payload).digest("hex");
    this.#asked = { sha256, rows: next, sentAtMs: now };
    this.#send(payload);
  }

  onAck({ sha256, refused }: KeysAck): void {
    const { rows, clock, logger } = this.#options;
    if (this.#asked?.sha256 !== sha256) return; // late or doubled
    const sent = this.#asked.rows;
    this.#asked = null;
    if (refused === undefined) {
      this.#attempts = 0;
      rows.settle(sent);
      return;
    }
    const retryInMs = this.#later(clock.monotonicMs());
    const hint = WAY_ON[refused];
    logger.error("released keys rejected by the centre", { reason: refused, hint, retryInMs });
  }

  #later(nowMs: number): number {
    const waitMs = backoffMs(this.#attempts++, { ...BACKOFF, random: this.#options.random });
    this.#notBeforeMs = nowMs + waitMs;
    return waitMs;
  }
}

function messageOf(site: string, rows: readonly QueuedKey[]): Buffer {
  const keys: KeysMessage["keys"] = rows.map(({ subject, class: of, number, wrapped }) => ({
    subject,
    class: of,
    number,
    wrapped: wrapped?.toString("base64") ?? null,
  }));
  return encodeMessage(keysSchema, { site, keys });
}
