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
 * sqlite-vec keeps the vectors; its published builds have no SIMD. Over 10,000 × 128 a bare vec0
 * KNN has a p95 of 1.5 ms and this loop of 1.1, over 100,000 they have 170 and 14
 * (test/bench/match.bench.ts). And this finds the best template of each person in one pass, which a
 * top-k over templates cannot promise.
 */
export interface TemplateIndex {
  readonly size: number;
  /** The best template of the `limit` most similar people, best first. */
  nearest(probe: Embedding, limit: number): Candidate[];
}

/** Rows handled in one turn of the loop: independent sums keep the FPU busy. */
const ROWS_AT_ONCE = 4;

export function createTemplateIndex(
  templates: readonly IndexedTemplate[],
  dimension: number,
): TemplateIndex {
  invariant(dimension % 2 === 0, "an embedding has an even number of dimensions");
  const people = [...new Set(templates.map(({ person }) => person))];
  const personIndex = new Map(people.map((person, i) => [person, i]));
  // Filled up with rows of zeros, which belong to nobody.
  const places = Math.ceil(templates.length / ROWS_AT_ONCE) * ROWS_AT_ONCE;
  const rows = new Float32Array(places * dimension);
  const owner = new Int32Array(templates.length);
  templates.forEach(({ embedding, person }, i) => {
    invariant(embedding.length === dimension, "templates of one pack have one dimension");
    rows.set(embedding, i * dimension);
    owner[i] = personIndex.get(person) ?? -1;
  });
  const scores = new Float32Array(places);

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

/**
 * scores[i] = rows[i] · probe; both unit length, so this is the cosine. Four rows at a time share
 * what is read of the probe, in two sums each: 0.7 ms for 10,000 rows where one row at a time in
 * eight sums took 1.0.
 */
function similarities(rows: Float32Array, probe: Embedding, scores: Float32Array): void {
  const d = probe.length;
  const p = Float64Array.from(probe);
  // The casts: every index is in bounds, o + 3d + 1 < rows.length and j + 1 < d.
  for (let i = 0; i < scores.length; i += ROWS_AT_ONCE) {
    let [a, aa, b, bb, c, cc, e, ee] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let j = 0, o = i * d; j < d; j += 2, o += 2) {
      const q = p[j] as number;
      const r = p[j + 1] as number;
      a += (rows[o] as number) * q;
      aa += (rows[o + 1] as number) * r;
      b += (rows[o + d] as number) * q;
      bb += (rows[o + d + 1] as number) * r;
      c += (rows[o + 2 * d] as number) * q;
      cc += (rows[o + 2 * d + 1] as number) * r;
      e += (rows[o + 3 * d] as number) * q;
      ee += (rows[o + 3 * d + 1] as number) * r;
    }
    scores[i] = a + aa;
    scores[i + 1] = b + bb;
    scores[i + 2] = c + cc;
    scores[i + 3] = e + ee;
  }
}

/** The row of each person's best template. */
function bestOfEach(scores: Float32Array, owner: Int32Array, people: number): Int32Array {
  const best = new Int32Array(people).fill(-1);
  for (let i = 0; i < owner.length; i++) {
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
