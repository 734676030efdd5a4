/** Ingest pressure: whether group commits are large, as in a burst of what devices had held back. */

export interface Pressure {
  /** A group commit of so many entries has ended. */
  committed(entries: number): void;
  high(): boolean;
}

/** A fleet that lives from day to day commits a few at once: so many have waited for each other. */
const LARGE_ENTRIES = 1_000;
/** Between two commits of a burst there are a few tens of ms. */
const LASTS_MS = 250;

export function createPressure(monotonicMs: () => number): Pressure {
  let largeMs = Number.NEGATIVE_INFINITY;
  return {
    committed(entries) {
      if (entries >= LARGE_ENTRIES) largeMs = monotonicMs();
    },
    high: () => monotonicMs() - largeMs < LASTS_MS,
  };
}
