import { PorchlightError } from "../../shared/core/errors.ts";
import { cosine, type Embedding, embeddingFromBytes } from "../../shared/log/embedding.ts";
import type { PackFile } from "./pack-schema.ts";

/**
 * Embeddings of one picture by two right builds of a net agree to 1e-6; a wrong channel order,
 * precision or kernel is far below this.
 */
const COSINE_MIN = 0.999;

/** The picture "waves-1": whole-number triangle waves, the same bytes on every machine. */
export function goldenChip(side: number): Uint8Array {
  const chip = new Uint8Array(side * side * 3);
  for (let y = 0, o = 0; y < side; y++) {
    for (let x = 0; x < side; x++, o += 3) {
      chip[o] = (wave(5 * x + 3 * y) + wave(11 * y)) >> 1;
      chip[o + 1] = (wave(7 * x - 4 * y) + wave(x * 2)) >> 1;
      chip[o + 2] = (wave(3 * x + 8 * y) + wave(x * y)) >> 1;
    }
  }
  return chip;
}

/** Refuses nets that do not compute what the pack's maker saw them compute. */
export function checkGolden(pack: PackFile, embedding: Embedding, provider: string): void {
  const expected = embeddingFromBytes(Buffer.from(pack.golden.embedding, "base64"));
  const same = expected.length === embedding.length;
  const similarity = same ? cosine(expected, embedding) : Number.NaN;
  if (similarity >= COSINE_MIN) return;
  throw new PorchlightError(
    "model.golden.mismatch",
    `the embedder of ${pack.name}@${pack.version} on ${provider} gives another embedding for the ` +
      `golden image than it should: cosine ${similarity.toFixed(4)}, at least ${COSINE_MIN} wanted`,
    {
      hint:
        provider === "cpu"
          ? "the runtime is not the one this was made for; repair the program: npm ci"
          : "set models.provider to cpu, then run: porchlight models verify",
    },
  );
}

/** 0..255 and back with a period of 510. */
function wave(phase: number): number {
  return Math.abs((((phase % 510) + 510) % 510) - 255);
}
