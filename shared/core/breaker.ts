/**
 * A circuit breaker, pure: what it is now, and what a success or a failure makes of it.
 *
 *     closed ──failures in a row──► open ──time──► half-open ──success──► closed
 *                                     ▲                  └──────failure──► open, for longer
 *
 * (M. Nygard, Release It!, 2nd edition, 2018, "Circuit Breaker".)
 */
import { backoffMs } from "./retry.ts";

export type BreakerKind = "closed" | "open" | "half-open";

export interface Breaker {
  readonly kind: BreakerKind;
  /** In a row. */
  readonly failures: number;
  /** Nothing is tried before this moment, in ms of the clock it was given. */
  readonly notBefore: number;
}

export interface BreakerLimits {
  /** So many failures in a row open it. */
  readonly failuresMax: number;
  /** Between two tries while it is closed. */
  readonly retry: { readonly firstMs: number; readonly maxMs: number };
  /** How long it stays open: twice as long after each probe that failed. */
  readonly open: { readonly firstMs: number; readonly maxMs: number };
}

export const CLOSED: Breaker = { kind: "closed", failures: 0, notBefore: 0 };

/** What it is at this moment: one that was open long enough lets a probe through. */
export function breakerAt(breaker: Breaker, now: number): Breaker {
  const over = breaker.kind === "open" && now >= breaker.notBefore;
  return over ? { ...breaker, kind: "half-open" } : breaker;
}

export interface Failure {
  readonly now: number;
  /** Even in [0, 1). */
  readonly random: () => number;
  /** The other side's Retry-After: never earlier. */
  readonly afterMs?: number;
}

/** After a failure. Waits have full jitter while it is closed; when open, at least half the time. */
export function failed(
  breaker: Breaker,
  { now, random, afterMs = 0 }: Failure,
  limits: BreakerLimits,
): Breaker {
  const failures = breaker.failures + 1;
  if (failures < limits.failuresMax) {
    const waitMs = backoffMs(failures - 1, { ...limits.retry, random });
    return { kind: "closed", failures, notBefore: now + Math.max(waitMs, afterMs) };
  }
  const probes = failures - limits.failuresMax;
  const evenly = (): number => 0.5 + random() / 2;
  const waitMs = backoffMs(probes, { ...limits.open, random: evenly });
  return { kind: "open", failures, notBefore: now + Math.max(waitMs, afterMs) };
}
