import * as assert from "uvu/assert";
import {
  cosine,
  embeddingFromBytes,
  embeddingToBytes,
  normalise,
} from "../../../shared/log/embedding.ts";
import { suite } from "../../support/suite.ts";

const embedding = suite("an embedding");

embedding("has unit length after normalising, in place", () => {
  const vector = Float32Array.of(3, 0, 4, 0);
  assert.is(normalise(vector), vector);
  assert.ok(Math.abs(cosine(vector, vector) - 1) < 1e-6);
  assert.ok(Math.abs((vector[2] ?? 0) - 0.8) < 1e-7);
});

embedding("that is zero or not finite is a broken model", () => {
  for (const values of [
    [0, 0],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 1],
  ]) {
    assert.throws(() => normalise(Float32Array.from(values)), /finite, non-zero length/);
  }
});

embedding("is compared by its cosine, within one dimension only", () => {
  const [x, y] = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
  assert.is(cosine(x, y), 0);
  assert.is(cosine(x, Float32Array.of(-1, 0)), -1);
  assert.throws(() => cosine(x, Float32Array.of(1, 0, 0)), /one dimension/);
});

embedding("is written as little-endian float32, on any machine", () => {
  assert.is(embeddingToBytes(Float32Array.of(1, -2.5)).toString("hex"), "0000803f000020c0");
});

embedding("comes back from its bytes exactly, also out of the middle of a buffer", () => {
  const vector = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
  const bytes = embeddingToBytes(vector);
  const inside = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
  assert.equal(embeddingFromBytes(inside), vector);
});

embedding("of half a value is refused", () => {
  assert.throws(() => embeddingFromBytes(Buffer.alloc(6)), /whole float32/);
  assert.throws(() => embeddingFromBytes(Buffer.alloc(0)), /whole float32/);
});

embedding.run();
