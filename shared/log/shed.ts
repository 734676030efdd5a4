/** What a `buffer.shed` explains, and which emptied entries nothing does. */
import { z } from "zod";

/** A run of entries, first and last seq. */
export interface Shed {
  readonly from: number;
  readonly to: number;
}

const seq = z.int().min(1);
const shedSchema = z.object({
  count: z.int().min(1),
  from: seq,
  to: seq,
  ranges: z
    .array(z.tuple([seq, seq]))
    .min(1)
    .optional(),
});

/**
 * The runs that the data of a `buffer.shed` at `seq` explains: only what came before it, and nothing
 * at all where its figures do not agree, so that no entry can hide behind a careless one.
 */
export function explainedBy(seq: number, data: unknown): readonly Shed[] {
  const result = shedSchema.safeParse(data);
  if (!result.success) return [];
  const { count, from, to, ranges = [[from, to]] } = result.data;
  const runs = ranges.map(([first, last]): Shed => ({ from: first, to: last }));
  const inOrder = runs.every((run, i) => run.from <= run.to && run.from > (runs[i - 1]?.to ?? 0));
  const named = runs.reduce((sum, run) => sum + run.to - run.from + 1, 0);
  const agrees = named === count && runs[0]?.from === from && runs.at(-1)?.to === to;
  return inOrder && agrees && to < seq ? runs : [];
}

/** The first of these emptied entries (ascending) that is in no run; null if there is none. */
export function firstUnexplained(emptied: readonly number[], runs: readonly Shed[]): number | null {
  const waiting = [...runs].sort((a, b) => b.from - a.from);
  let explainedTo = 0;
  for (const seq of emptied) {
    for (let run = waiting.at(-1); run !== undefined && run.from <= seq; run = waiting.at(-1)) {
      explainedTo = Math.max(explainedTo, run.to);
      waiting.pop();
    }
    if (seq > explainedTo) return seq;
  }
  return null;
}
