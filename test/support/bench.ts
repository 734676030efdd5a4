/** One figure of a bench. `ratio` is value / baseline, both measured in the same run. */
export interface BenchResult {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** The bare lower limit, or the peer; null where the figure stands alone. */
  readonly baseline: number | null;
  readonly ratio: number | null;
}

export function report(result: Omit<BenchResult, "ratio">): void {
  const { value, baseline } = result;
  const ratio = baseline === null ? null : value / baseline;
  process.stdout.write(`${JSON.stringify({ ...result, ratio })}\n`);
}

/** The value below which this part of the samples lies. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export interface Paired {
  /** Milliseconds of each run. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

/**
 * Runs two things by turns, so that whatever else the machine does disturbs both alike.
 * The first `warmUp` rounds do not count.
 */
export async function paired(
  ours: () => Promise<unknown>,
  theirs: () => Promise<unknown>,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Paired> {
  const times = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < rounds + warmUp; round++) {
    const order = round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    for (const who of order) {
      const started = performance.now();
      await (who === "ours" ? ours() : theirs());
      if (round >= warmUp) times[who].push(performance.now() - started);
    }
  }
  return times;
}
