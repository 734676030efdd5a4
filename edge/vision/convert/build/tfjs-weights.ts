import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { PorchlightError } from "../../../../shared/core/errors.ts";

/**
 * TensorFlow.js weights: a manifest that lists tensors, and one file in which they lie back to
 * back in that order, without padding. A quantised tensor has one byte an element,
 * `value = byte * scale + min`; others are little-endian float32. Files mix both.
 */
export interface Weights {
  /** The tensor of that name, which must have that shape. */
  get(name: string, shape: readonly number[]): Float32Array;
}

const manifestSchema = z
  .array(
    z.object({
      paths: z.array(z.string()).length(1),
      weights: z.array(
        z.object({
          name: z.string(),
          shape: z.array(z.number().int().positive()),
          dtype: z.enum(["float32", "int32"]),
          quantization: z
            .object({ dtype: z.literal("uint8"), scale: z.number(), min: z.number() })
            .optional(),
        }),
      ),
    }),
  )
  .length(1);

interface StoredTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export function readWeights(manifestPath: string): Weights {
  const group = manifestSchema.parse(JSON.parse(readFileSync(manifestPath, "utf8")))[0];
  const path = group?.paths[0];
  if (!group || path === undefined) throw damaged(manifestPath, "it lists no weights");
  const file = readFileSync(join(dirname(manifestPath), basename(path)));
  const tensors = new Map<string, StoredTensor>();
  let offset = 0;
  for (const { name, shape, quantization } of group.weights) {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const sizeBytes = quantization ? count : count * 4;
    const bytes = file.subarray(offset, offset + sizeBytes);
    if (bytes.length !== sizeBytes) throw damaged(path, `it ends inside ${name}`);
    const values = quantization
      ? Float32Array.from(bytes, (byte) => byte * quantization.scale + quantization.min)
      : Float32Array.from({ length: count }, (_, i) => bytes.readFloatLE(i * 4));
    tensors.set(name, { shape, values });
    offset += sizeBytes;
  }
  if (offset !== file.length) throw damaged(path, `${file.length - offset} bytes are left over`);
  return {
    get(name, shape) {
      const tensor = tensors.get(name);
      if (!tensor) throw damaged(path, `it has no tensor ${name}`);
      if (tensor.shape.join() !== shape.join()) {
        throw damaged(path, `${name} is [${tensor.shape.join()}], not [${shape.join()}]`);
      }
      return tensor.values;
    },
  };
}

function damaged(path: string, reason: string): PorchlightError {
  return new PorchlightError("model.weights.damaged", `${basename(path)}: ${reason}`, {
    hint: "run: npm ci",
  });
}
