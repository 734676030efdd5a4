/**
 * A boundary: what comes from outside (a message, a request, a row of a device) is dealt with here,
 * and what fails of it ends with it. It is counted and logged, and never ends the process.
 */
import { messageOf, PorchlightError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { plainLine } from "./printable.ts";

export interface Boundary {
  /** Deals with one of them; undefined where that failed. */
  each<T>(device: string | null, work: () => T): T | undefined;
  /** The same of work that takes its time. */
  eachAsync<T>(device: string | null, work: () => Promise<T>): Promise<T | undefined>;
  /** How many failed. */
  failures(): number;
}

/** A stranger writes no more of our log than this: the rest is counted, and said with the next. */
const LOG_EVERY_MS = 1_000;

/** `kind` names what comes through it, in a word: "status", "upload request". */
export function createBoundary(
  kind: string,
  logger: Logger,
  monotonicMs: () => number = () => performance.now(),
): Boundary {
  let failures = 0;
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  let unlogged = 0;
  const failed = (device: string | null, error: unknown): void => {
    failures++;
    if (monotonicMs() - loggedAtMs < LOG_EVERY_MS) {
      unlogged++;
      return;
    }
    loggedAtMs = monotonicMs();
    const expected = error instanceof PorchlightError;
    logger[expected ? "warn" : "error"](`${kind} failed`, {
      device,
      reason: plainLine(messageOf(error)),
      ...(expected ? { code: error.code, hint: error.hint } : { at: placeOf(error) }),
      ...(unlogged > 0 && { unlogged }),
    });
    unlogged = 0;
  };
  return {
    each(device, work) {
      try {
        return work();
      } catch (error) {
        failed(device, error);
        return undefined;
      }
    },
    async eachAsync(device, work) {
      try {
        return await work();
      } catch (error) {
        failed(device, error);
        return undefined;
      }
    },
    failures: () => failures,
  };
}

/** Where a mistake of the program was made: the first line of its stack. */
function placeOf(error: unknown): string | undefined {
  const stack = error instanceof Error ? error.stack : undefined;
  return stack
    ?.split("\n")
    .find((line) => line.startsWith("    at "))
    ?.trim();
}
