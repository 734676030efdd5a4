/** How much of a core the feed may take: a burst, then a share. What is over it waits. */
export interface WorkBudget {
  /** Charges what work has cost. */
  charge(ms: number): void;
  /** Ms until there may be more work; 0 now. */
  waitMs(): number;
}

/** A backlog of 30 days goes out within it; a neighbour that asks for ever gets the share. */
const BURST_MS = 20_000;
/** Of one core. */
const SHARE = 0.5;

export function createWorkBudget(monotonicMs: () => number): WorkBudget {
  let left = BURST_MS;
  let atMs = monotonicMs();
  const refill = (): void => {
    const now = monotonicMs();
    left = Math.min(BURST_MS, left + (now - atMs) * SHARE);
    atMs = now;
  };
  return {
    charge(ms) {
      refill();
      left -= ms;
    },
    waitMs() {
      refill();
      return left >= 0 ? 0 : Math.ceil(-left / SHARE);
    },
  };
}
