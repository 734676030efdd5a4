import type { ConvWeights } from "../../onnx/graph-builder.ts";
import type { Weights } from "./tfjs-weights.ts";

/** TensorFlow's HWIO filters as ONNX's OIHW, times a factor. */
export function filtersOihw(
  filters: Float32Array,
  [height, width, inputs, outputs]: readonly [number, number, number, number],
  factor: (output: number) => number = () => 1,
): Float32Array {
  const out = new Float32Array(filters.length);
  const area = height * width;
  for (let position = 0; position < area; position++) {
    for (let input = 0; input < inputs; input++) {
      for (let output = 0; output < outputs; output++) {
        const value = filters[(position * inputs + input) * outputs + output] ?? 0;
        out[(output * inputs + input) * area + position] = value * factor(output);
      }
    }
  }
  return out;
}

/** TensorFlow's depthwise [H,W,C,1] filters as ONNX's [C,1,H,W], times a factor a channel. */
export function depthwiseWeights(
  filters: Float32Array,
  channels: number,
  bias?: Float32Array,
  factor: (channel: number) => number = () => 1,
): ConvWeights {
  return {
    filters: filtersOihw(filters, [3, 3, 1, channels], factor),
    bias,
    shape: [channels, 1, 3, 3],
  };
}

export interface LayerShape {
  readonly side: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** An ordinary convolution with a bias; `factor` folds a scaling of the input into it. */
export function convWeights(
  weights: Weights,
  names: { readonly filters: string; readonly bias: string },
  { side, inputs, outputs }: LayerShape,
  factor = 1,
): ConvWeights {
  const shape = [side, side, inputs, outputs] as const;
  return {
    filters: filtersOihw(weights.get(names.filters, shape), shape, () => factor),
    bias: weights.get(names.bias, [outputs]),
    shape: [outputs, inputs, side, side],
  };
}

/**
 * TensorFlow's "same" padding for an odd kernel of 3 (or a 2 × 2 pool, padded at the end only):
 * all of it after where the stride halves an even side, evenly otherwise.
 */
export function samePad(stride: number): readonly [number, number] {
  return stride === 2 ? [0, 1] : [1, 1];
}
