import { invariant } from "../core/errors.ts";

/** An embedding: float32, unit length. Its dimension belongs to the model pack that made it. */
export type Embedding = Float32Array;

/** Scales a vector to unit length in place. A zero vector is a broken model, not an input. */
export function normalise(vector: Float32Array): Embedding {
  let sum = 0;
  for (const value of vector) sum += value * value;
  invariant(sum > 0 && Number.isFinite(sum), "an embedding has a finite, non-zero length");
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) * scale;
  return vector;
}

/** Cosine similarity of two unit vectors of one dimension, in [-1, 1]. */
export function cosine(a: Embedding, b: Embedding): number {
  invariant(a.length === b.length, "embeddings of one model pack have one dimension");
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** Little-endian float32 bytes, as they are sealed and stored. */
export function embeddingToBytes(embedding: Embedding): Buffer {
  const bytes = Buffer.alloc(embedding.length * 4);
  embedding.forEach((value, i) => {
    bytes.writeFloatLE(value, i * 4);
  });
  return bytes;
}

export function embeddingFromBytes(bytes: Uint8Array): Embedding {
  invariant(bytes.byteLength > 0 && bytes.byteLength % 4 === 0, "whole float32 values");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) =>
    view.getFloat32(i * 4, true),
  );
}
