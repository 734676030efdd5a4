/** The pace at which frames are looked at, and from when on their absence is a silence. */
export interface Pace {
  frame(monotonicMs: number): void;
  /** Whether no frame has come for `limitMs`, and for longer than frames are apart. */
  isSilent(monotonicMs: number, limitMs: number, periodMs: number | null): boolean;
}

/** Gaps that are remembered: one long one among them is a camera that was away. */
const GAPS_KEPT = 5;
/** A camera that has missed this many frames in a row gives none. */
const FRAMES_MISSED = 3;
/** A camera of which nothing is known gives a frame in so long. */
const PERIOD_UNKNOWN_MS = 5_000;

export function createPace(): Pace {
  let last: number | null = null;
  let gaps: number[] = [];
  return {
    frame(now) {
      if (last !== null) gaps = [...gaps, now - last].slice(-GAPS_KEPT);
      last = now;
    },
    isSilent(now, limitMs, periodMs) {
      if (last === null) return false;
      const gap = median(gaps) ?? (periodMs === null ? PERIOD_UNKNOWN_MS : 0);
      const apart = Math.max(gap, periodMs ?? 0);
      return now - last >= Math.max(limitMs, FRAMES_MISSED * apart);
    },
  };
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
