/** A rate limit on visits: a door at a busy street, or a poster that flickers, must not fill the log. */
export interface VisitBudget {
  /** Takes one visit out of the budget; false where none is left. */
  take(whose: "known" | "others", monotonicMs: number): boolean;
  /** Visits that were left out of the log because of it. */
  leftOut: number;
}

/** So many hours' worth may come at once: a party is not cut short. */
const BURST_HOURS = 5;
const HOUR_MS = 3_600_000;

/** Two token buckets: however many strangers pass, whoever is known is recorded. */
export function createVisitBudget(perHour: () => number): VisitBudget {
  const buckets = { known: createBucket(perHour), others: createBucket(perHour) };
  return { take: (whose, now) => buckets[whose](now), leftOut: 0 };
}

function createBucket(perHour: () => number): (now: number) => boolean {
  let spent = 0;
  let since: number | null = null;
  return (now) => {
    spent = Math.max(0, spent - ((now - (since ?? now)) * perHour()) / HOUR_MS);
    since = now;
    if (spent + 1 > perHour() * BURST_HOURS) return false;
    spent++;
    return true;
  };
}
