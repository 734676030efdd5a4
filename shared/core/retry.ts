import { setTimeout as sleep } from "node:timers/promises";
import { invariant } from "./errors.ts";

/** Exponential backoff with full jitter: a wait is drawn evenly from [0, ceiling]. */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Even in [0, 1). */
  readonly random: () => number;
}

/**
 * The wait before retry number `attempt` (0 = first retry).
 * Full jitter as in M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015:
 * it spreads a fleet that lost its broker at the same moment.
 */
export function backoffMs(attempt: number, { firstMs, maxMs, random }: BackoffOptions): number {
  invariant(attempt >= 0 && firstMs > 0 && maxMs >= firstMs, "backoff limits are in order");
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(random() * ceiling);
}

/** Waits, or returns at once when the signal is aborted; the caller looks at the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
