/** Answers that a broker takes from us and does not pass on: devices wait for them in vain. */
import { messageOf, numericCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { type Channel, filterOf } from "../../shared/protocol/wire.ts";

export interface Refusals {
  /** What became of an answer on this channel. */
  take(channel: Channel, error: Error | null): void;
  /** What is refused now, for a health check; null where nothing is. */
  problem(): string | null;
}

/** PUBACK with a reason from here on is a refusal (MQTT 5, 3.4.2.1); MQTT 3.1.1 has no word for it. */
const PUBACK_REFUSAL = 128;
/** A refusal is told this often for a channel, and health knows of it as long. */
const KNOWN_MS = 60_000;

export function createRefusals(logger: Logger): Refusals {
  const last = new Map<Channel, { readonly reason: string; atMs: number; toldMs: number }>();
  return {
    take(channel, error) {
      const code = numericCodeOf(error);
      if (error === null) last.delete(channel);
      if (code === undefined || code < PUBACK_REFUSAL) return;
      const now = performance.now();
      const reason = `${code} ${messageOf(error)}`;
      const toldMs = last.get(channel)?.toldMs ?? Number.NEGATIVE_INFINITY;
      const tell = now - toldMs >= KNOWN_MS;
      last.set(channel, { reason, atMs: now, toldMs: tell ? now : toldMs });
      if (!tell) return;
      logger.warn("the broker refuses our answers", {
        topic: filterOf(channel),
        reason,
        hint: "its access rules are those of: porchlight-cloud devices acl",
      });
    },
    problem() {
      const now = performance.now();
      const refused = [...last].find(([, { atMs }]) => now - atMs < KNOWN_MS);
      if (refused === undefined) return null;
      const [channel, { reason }] = refused;
      return `the broker refuses our answers on ${filterOf(channel)} (${reason})`;
    },
  };
}
