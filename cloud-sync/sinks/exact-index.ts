/** Every embedding of one pack in memory, compared one by one: for a database without pgvector. */
import { z } from "zod";
import { cosine, type Embedding, embeddingFromBytes } from "../../shared/embedding.ts";
import { invariant } from "../../shared/errors.ts";

export interface Neighbour {
  readonly template: string;
  readonly subject: string;
  /** Cosine similarity, in [-1, 1]. */
  readonly score: number;
}

export interface Encoding {
  readonly template: string;
  readonly subject: string;
  readonly embedding: Embedding;
}

const bytes = z.instanceof(Buffer);
const rows = z.array(
  z.object({ template: z.string(), subject: z.string(), embedding: bytes, added: z.bigint() }),
);

/** A pack of a fleet has this many at the most: 128 dimensions are 512 MB. */
const ENCODINGS_MAX = 1_000_000;

export class ExactIndex {
  readonly #encodings = new Map<string, Encoding>();
  /** How many subjects had been erased when it was read. */
  readonly erased: bigint;
  added = -1n;

  constructor(erased: bigint) {
    this.erased = erased;
  }

  /** Rows that were added after those it has. */
  add(found: readonly unknown[]): number {
    const parsed = rows.parse(found);
    for (const { template, subject, embedding, added } of parsed) {
      this.#encodings.set(template, {
        template,
        subject,
        embedding: embeddingFromBytes(embedding),
      });
      this.added = added;
    }
    invariant(this.#encodings.size <= ENCODINGS_MAX, "so many need a database with pgvector");
    return parsed.length;
  }

  /** The best `k`, best first; those that score the same in the order of their ids. */
  nearest(probe: Embedding, k: number): readonly Neighbour[] {
    const best: Neighbour[] = [];
    for (const { template, subject, embedding } of this.#encodings.values()) {
      if (embedding.length !== probe.length) continue;
      const score = cosine(probe, embedding);
      const last = best.at(-1);
      if (best.length === k && last !== undefined && !isBefore({ template, score }, last)) continue;
      const found = { template, subject, score };
      const place = best.findIndex((each) => isBefore(found, each));
      best.splice(place === -1 ? best.length : place, 0, found);
      if (best.length > k) best.pop();
    }
    return best;
  }
}

function isBefore(
  one: Pick<Neighbour, "template" | "score">,
  other: Pick<Neighbour, "template" | "score">,
): boolean {
  return one.score > other.score || (one.score === other.score && one.template < other.template);
}
