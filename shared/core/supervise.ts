/** A supervisor: a side task that fails is started again, and ends nothing but itself. */
import { messageOf, PorchlightError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { plainLine } from "./printable.ts";
import { backoffMs, pause } from "./retry.ts";

export interface Supervisor {
  /** Runs it until the signal is aborted, again after each failure. */
  run(
    name: string,
    task: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** How often a task was started again. */
  restarts(): number;
}

export interface SupervisorOptions {
  readonly logger: Logger;
  /** Even in [0, 1). */
  readonly random: () => number;
}

const BACKOFF = { firstMs: 500, maxMs: 30_000 } as const;

export function createSupervisor({ logger, random }: SupervisorOptions): Supervisor {
  let restarts = 0;
  return {
    async run(name, task, signal) {
      for (let failures = 0; !signal.aborted; ) {
        try {
          await task(signal);
          return;
        } catch (error) {
          if (signal.aborted) return;
          restarts++;
          const retryInMs = backoffMs(failures++, { ...BACKOFF, random });
          logger.error("task failed: it is started again", {
            task: name,
            reason: plainLine(messageOf(error)),
            ...(error instanceof PorchlightError && { code: error.code, hint: error.hint }),
            retryInMs,
          });
          await pause(retryInMs, signal);
        }
      }
    },
    restarts: () => restarts,
  };
}
