import { invariant } from "../../shared/core/errors.ts";
import { type Embedding, normalise } from "../../shared/log/embedding.ts";
import type { Session } from "./session.ts";

export interface EmbedderShape {
  readonly side: number;
  readonly dimension: number;
}

/** A crowd is embedded in several runs: a batch of eight chips keeps activations below 60 MB. */
const BATCH_MAX = 8;

/** Unit-length embeddings of aligned chips, in their order. */
export async function embedChips(
  session: Session,
  chips: readonly Uint8Array[],
  { side, dimension }: EmbedderShape,
): Promise<Embedding[]> {
  const embeddings: Embedding[] = [];
  const chipBytes = side * side * 3;
  for (let start = 0; start < chips.length; start += BATCH_MAX) {
    const batch = chips.slice(start, start + BATCH_MAX);
    const pixels = new Uint8Array(batch.length * chipBytes);
    batch.forEach((chip, i) => {
      invariant(chip.length === chipBytes, "a chip has the embedder's size");
      pixels.set(chip, i * chipBytes);
    });
    const { embedding } = await session.run(pixels, [batch.length, side, side, 3]);
    invariant(embedding?.data.length === batch.length * dimension, "one embedding a chip");
    for (let i = 0; i < batch.length; i++) {
      embeddings.push(normalise(embedding.data.slice(i * dimension, (i + 1) * dimension)));
    }
  }
  return embeddings;
}
