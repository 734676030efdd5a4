import { type Embedding, normalise } from "../../shared/embedding.ts";
import { invariant } from "../../shared/errors.ts";
import type { Session } from "./session.ts";

export interface EmbedderShape {
  readonly side: number;
  readonly dimension: number;
}

/** A crowd is embedded in several runs: a batch of eight chips keeps activations below 60 MB. */
const BATCH_MAX = 8;

/**
 * As `embedChips`, each averaged with the embedding of the chip's mirror image. Twice the work;
 * it evens out what light and turn do to one side of a face.
 */
export async function embedMirrored(
  session: Session,
  chips: readonly Uint8Array[],
  shape: EmbedderShape,
): Promise<Embedding[]> {
  const both = chips.flatMap((chip) => [chip, mirrorChip(chip, shape.side)]);
  const embeddings = await embedChips(session, both, shape);
  return chips.map((_, i) => {
    const mirrored = embeddings[2 * i + 1];
    const straight = embeddings[2 * i];
    invariant(straight && mirrored, "one embedding a chip");
    return normalise(straight.map((value, k) => value + (mirrored[k] ?? 0)));
  });
}

function mirrorChip(chip: Uint8Array, side: number): Uint8Array {
  const out = new Uint8Array(chip.length);
  for (let row = 0; row < chip.length; row += side * 3) {
    for (let x = 0; x < side; x++) {
      const from = row + x * 3;
      const to = row + (side - 1 - x) * 3;
      out[to] = chip[from] ?? 0;
      out[to + 1] = chip[from + 1] ?? 0;
      out[to + 2] = chip[from + 2] ?? 0;
    }
  }
  return out;
}

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
