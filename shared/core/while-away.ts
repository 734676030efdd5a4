import { PorchlightError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { backoffMs, pause } from "./retry.ts";

const BACKOFF = { firstMs: 500, maxMs: 5_000 } as const;

export interface WhileAwayOptions {
  readonly random: () => number;
  readonly logger: Logger;
  /** Whether this error, which passes, is worth the wait. */
  readonly away?: (error: PorchlightError) => boolean;
}

/**
 * Waits for what is away: does the work again while it fails with remedy `retry`, and says so. Null
 * when the signal was aborted meanwhile. What is not `away` but wrongly set up is thrown.
 */
export async function whileAway<T>(
  work: () => Promise<T>,
  { random, logger, away = () => true }: WhileAwayOptions,
  signal: AbortSignal,
): Promise<T | null> {
  for (let failures = 0; ; ) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return null;
      if (!(error instanceof PorchlightError) || error.remedy !== "retry" || !away(error)) {
        throw error;
      }
      const retryInMs = backoffMs(failures++, { ...BACKOFF, random });
      const { code, hint, message: reason } = error;
      logger.warn("start waits: a server is away", { code, reason, hint, retryInMs });
      await pause(retryInMs, signal);
    }
  }
}
