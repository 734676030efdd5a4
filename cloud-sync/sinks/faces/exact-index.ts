/** Every embedding of one pack in memory, compared one by one: for a database without pgvector. */
import { z } from "zod";
import { invariant } from "../../../shared/core/errors.ts";
import { type Embedding, embeddingFromBytes } from "../../../shared/log/embedding.ts";

export interface Neighbour {
  readonly template: string;
  readonly subject: string;
  readonly device: string;
  /** Cosine similarity, in [-1, 1]. */
  readonly score: number;
}

const bytes = z.instanceof(Buffer);
const rows = z.array(
  z.object({
    template: z.string(),
    subject: z.string(),
    device: z.string(),
    embedding: bytes,
    added: z.bigint(),
  }),
);

/** A pack of a fleet has this many at the most: 128 dimensions are 512 MB. */
const ENCODINGS_MAX = 1_000_000;
const FIRST_ROWS = 1_024;

export class ExactIndex {
  /** Changes when rows go: it was read at this. */
  readonly removed: bigint;
  added = -1n;
  /** Of each template, its row. */
  readonly #rows = new Map<string, number>();
  readonly #names: Omit<Neighbour, "score">[] = [];
  readonly #dimension: number;
  /** Row by row, in one piece: that is what makes it fast. */
  #values = new Float32Array(0);

  constructor(removed: bigint, dimension: number) {
    this.removed = removed;
    this.#dimension = dimension;
  }

  /** Rows that were added after those it has. */
  add(found: readonly unknown[]): number {
    const parsed = rows.parse(found);
    for (const { embedding, added, ...name } of parsed) {
      this.#set(name, embeddingFromBytes(embedding));
      this.added = added;
    }
    return parsed.length;
  }

  /** The best `k`, best first; those that score the same in the order of their ids. */
  nearest(probe: Embedding, k: number): readonly Neighbour[] {
    const best: Neighbour[] = [];
    if (probe.length !== this.#dimension) return best;
    for (let row = 0; row < this.#names.length; row++) {
      const score = this.#score(probe, row);
      const last = best.at(-1);
      if (best.length === k && last !== undefined && score < last.score) continue;
      const name = this.#names[row];
      if (name !== undefined) insert(best, { ...name, score }, k);
    }
    return best;
  }

  #score(probe: Embedding, row: number): number {
    const values = this.#values;
    const from = row * this.#dimension;
    let [even, odd] = [0, 0];
    // Two sums at a time: each would wait for its last addition.
    for (let i = 0; i < probe.length; i += 2) {
      even += (probe[i] ?? 0) * (values[from + i] ?? 0);
      odd += (probe[i + 1] ?? 0) * (values[from + i + 1] ?? 0);
    }
    return even + odd;
  }

  #set(name: Omit<Neighbour, "score">, embedding: Embedding): void {
    invariant(embedding.length === this.#dimension, "an index has rows of its dimension alone");
    const key = `${name.device} ${name.template}`;
    const row = this.#rows.get(key) ?? this.#names.length;
    invariant(row < ENCODINGS_MAX, "so many need a database with pgvector");
    if ((row + 1) * this.#dimension > this.#values.length) this.#grow();
    this.#values.set(embedding, row * this.#dimension);
    this.#rows.set(key, row);
    this.#names[row] = name;
  }

  #grow(): void {
    const size = Math.max(this.#values.length * 2, FIRST_ROWS * this.#dimension);
    const values = new Float32Array(size);
    values.set(this.#values);
    this.#values = values;
  }
}

function insert(best: Neighbour[], found: Neighbour, k: number): void {
  const place = best.findIndex((each) => isBefore(found, each));
  best.splice(place === -1 ? best.length : place, 0, found);
  if (best.length > k) best.pop();
}

function isBefore(one: Neighbour, other: Neighbour): boolean {
  return one.score > other.score || (one.score === other.score && one.template < other.template);
}
