import type { Embedding } from "../../shared/embedding.ts";
import { invariant } from "../../shared/errors.ts";
import { type Candidate, round } from "./match.ts";

/** One template of one pack, as the index holds it. */
export interface IndexedTemplate {
  readonly template: string;
  readonly person: string;
  readonly embedding: Embedding;
}

/**
 * All templates of one pack as one row-major matrix in memory, compared exactly.
 *
 * sqlite-vec keeps the vectors; its published builds have no SIMD. A bare vec0 KNN has a p95 of
 * 1.2 ms over 10,000 × 128 where this loop has 1.8 ms, and 392 against 20 ms over 100,000
 * (test/bench/match.bench.ts). This finds the best template of each person in one pass, which a
 * top-k over templates cannot promise.
 */
export interface TemplateIndex {
  readonly size: number;
  /** The best template of the `limit` most similar people, best first. */
  nearest(probe: Embedding, limit: number): Candidate[];
}

/** Dimensions handled per turn of the inner loop: independent sums keep the FPU busy. */
const UNROLL = 8;

export function createTemplateIndex(
  templates: readonly IndexedTemplate[],
  dimension: number,
): TemplateIndex {
  invariant(dimension % UNROLL === 0, `an embedding has a multiple of ${UNROLL} dimensions`);
  const people = [...new Set(templates.map(({ person }) => person))];
  const personIndex = new Map(people.map((person, i) => [person, i]));
  const rows = new Float32Array(templates.length * dimension);
  const owner = new Int32Array(templates.length);
  templates.forEach(({ embedding, person }, i) => {
    invariant(embedding.length === dimension, "templates of one pack have one dimension");
    rows.set(embedding, i * dimension);
    owner[i] = personIndex.get(person) ?? -1;
  });
  const scores = new Float32Array(templates.length);

  return {
    size: templates.length,
    nearest(probe, limit) {
      invariant(probe.length === dimension, "the probe comes from the gallery's pack");
      similarities(rows, probe, scores);
      const best = bestOfEach(scores, owner, people.length);
      return topOf(best, scores, limit).map((row) => {
        const { person, template } = at(templates, row);
        return { person, template, score: round(scores[row] ?? -1) };
      });
    },
  };
}

/** scores[i] = rows[i] · probe; both unit length, so this is the cosine. */
function similarities(rows: Float32Array, probe: Embedding, scores: Float32Array): void {
  const dimension = probe.length;
  const p = Float64Array.from(probe);
  for (let i = 0, o = 0; i < scores.length; i++) {
    let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let j = 0; j < dimension; j += UNROLL, o += UNROLL) {
      a += (rows[o] as number) * (p[j] as number); // in bounds: o < rows.length, j < dimension
      b += (rows[o + 1] as number) * (p[j + 1] as number);
      c += (rows[o + 2] as number) * (p[j + 2] as number);
      d += (rows[o + 3] as number) * (p[j + 3] as number);
      e += (rows[o + 4] as number) * (p[j + 4] as number);
      f += (rows[o + 5] as number) * (p[j + 5] as number);
      g += (rows[o + 6] as number) * (p[j + 6] as number);
      h += (rows[o + 7] as number) * (p[j + 7] as number);
    }
    scores[i] = a + b + (c + d) + (e + f) + (g + h);
  }
}

/** The row of each person's best template. */
function bestOfEach(scores: Float32Array, owner: Int32Array, people: number): Int32Array {
  const best = new Int32Array(people).fill(-1);
  for (let i = 0; i < scores.length; i++) {
    const person = owner[i] ?? -1;
    const row = best[person] ?? -1;
    if (row < 0 || (scores[i] ?? -1) > (scores[row] ?? -1)) best[person] = i;
  }
  return best;
}

/** The `limit` rows with the highest scores, highest first: an insertion into a short list. */
function topOf(rows: Int32Array, scores: Float32Array, limit: number): number[] {
  const top: number[] = [];
  const score = (row: number | undefined): number => scores[row ?? -1] ?? -Infinity;
  for (const row of rows) {
    if (top.length === limit && score(row) <= score(top.at(-1))) continue;
    let place = top.length;
    while (place > 0 && score(top[place - 1]) < score(row)) place--;
    top.splice(place, 0, row);
    if (top.length > limit) top.pop();
  }
  return top;
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  invariant(item !== undefined, "the index holds every row it names");
  return item;
}
