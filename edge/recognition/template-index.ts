import { invariant } from "../../shared/core/errors.ts";
import type { Embedding } from "../../shared/log/embedding.ts";
import { dotProducts } from "./dot-products.ts";
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
 * sqlite-vec keeps the vectors; its published builds have no SIMD, and ONNX Runtime has: over
 * 10,000 × 128 a few times as fast as a bare vec0 KNN, over 100,000 some thirty times
 * (test/bench/match.bench.ts). And this finds the best template of each person in one pass, which a
 * top-k over templates cannot promise.
 */
export interface TemplateIndex {
  readonly size: number;
  /** The best template of the `limit` most similar people, best first. */
  nearest(probe: Embedding, limit: number): Promise<Candidate[]>;
}

export function createTemplateIndex(
  templates: readonly IndexedTemplate[],
  dimension: number,
): TemplateIndex {
  const people = [...new Set(templates.map(({ person }) => person))];
  const personIndex = new Map(people.map((person, i) => [person, i]));
  const rows = new Float32Array(templates.length * dimension);
  const owner = new Int32Array(templates.length);
  templates.forEach(({ embedding, person }, i) => {
    invariant(embedding.length === dimension, "templates of one pack have one dimension");
    rows.set(embedding, i * dimension);
    owner[i] = personIndex.get(person) ?? -1;
  });

  return {
    size: templates.length,
    async nearest(probe, limit) {
      invariant(probe.length === dimension, "the probe comes from the gallery's pack");
      if (templates.length === 0) return [];
      // Both have unit length: the dot product is the cosine.
      const scores = await dotProducts(rows, probe);
      const best = bestOfEach(scores, owner, people.length);
      return topOf(best, scores, limit).map((row) => {
        const { person, template } = at(templates, row);
        return { person, template, score: round(scores[row] ?? -1) };
      });
    },
  };
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
