import { type ConvWeights, GraphBuilder } from "../../onnx/graph-builder.ts";
import type { Model } from "../../onnx/model.ts";
import { filtersOihw } from "./layers.ts";
import type { Weights } from "./tfjs-weights.ts";

/** Mean of the training photos, RGB, as dlib's `input_rgb_image_sized<150>` subtracts it. */
const MEAN_RGB = [122.782, 117.001, 104.298];

/**
 * dlib's face recognition ResNet (D. King, 2017): 150 × 150 RGB → 128 numbers, not normalised.
 *
 *   7×7/2 → max-pool → 3 × 32 channels → down 64, 3 × → down 128, 2 × → down 256, 2 × → down → mean → fc
 *
 * In a down block the shortcut is a 2 × 2 mean; where its side and the convolution's differ, zeros
 * fill the smaller one at the bottom and right.
 */
export function dlibResnet(weights: Weights): Model {
  const graph = new GraphBuilder();
  const conv = (input: string, name: string, spec: ConvSpec): string =>
    graph.conv(input, scaledConv(weights, name, spec), spec);

  const residual = (input: string, name: string, channels: number): string => {
    const shape = { side: 3, inputs: channels, outputs: channels, pad: [1, 1] } as const;
    const inner = graph.relu(conv(input, `${name}/conv1`, shape));
    return graph.relu(graph.add(conv(inner, `${name}/conv2`, shape), input));
  };

  const down = (input: string, name: string, block: DownBlock): string => {
    const { inputs, outputs, padConv = 0 } = block;
    const inner = graph.relu(
      conv(input, `${name}/conv1`, { side: 3, inputs, outputs, stride: 2, pad: [0, 0] }),
    );
    const body = conv(inner, `${name}/conv2`, {
      side: 3,
      inputs: outputs,
      outputs,
      pad: [1, 1],
    });
    const shortcut = graph.pool("AveragePool", input, 2, { stride: 2 });
    const grown = outputs > inputs ? graph.pad(shortcut, outputs - inputs, 0, 0) : shortcut;
    const padded = padConv > 0 ? graph.pad(body, 0, padConv, padConv) : body;
    return graph.relu(graph.add(padded, grown));
  };

  // The division by 255 is folded into the first filters; zero padding is not touched by it.
  const first = { side: 7, inputs: 3, outputs: 32, stride: 2, inputFactor: 1 / 255 };
  let value = graph.relu(conv(graph.image("image", MEAN_RGB), "conv32_down", first));
  value = graph.pool("MaxPool", value, 3, { stride: 2 });
  for (const i of [1, 2, 3]) value = residual(value, `conv32_${i}`, 32);
  value = down(value, "conv64_down", { inputs: 32, outputs: 64 });
  for (const i of [1, 2, 3]) value = residual(value, `conv64_${i}`, 64);
  value = down(value, "conv128_down", { inputs: 64, outputs: 128 });
  for (const i of [1, 2]) value = residual(value, `conv128_${i}`, 128);
  value = down(value, "conv256_down", { inputs: 128, outputs: 256, padConv: 1 });
  for (const i of [1, 2]) value = residual(value, `conv256_${i}`, 256);
  value = down(value, "conv256_down_out", { inputs: 256, outputs: 256, padConv: 1 });
  value = graph.flatten(graph.node("GlobalAveragePool", [value]));
  value = graph.gemm(value, weights.get("fc", [256, 128]), [256, 128]);
  return graph.finish("dlib_resnet", { name: "image", dims: ["batch", 150, 150, 3] }, [
    { name: "embedding", from: value, dims: ["batch", 128] },
  ]);
}

interface DownBlock {
  readonly inputs: number;
  readonly outputs: number;
  /** Rows and columns by which the convolution is smaller than the shortcut. */
  readonly padConv?: number;
}

interface ConvSpec {
  readonly side: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly stride?: number;
  readonly pad?: readonly [number, number];
  readonly inputFactor?: number;
}

/** conv(x) * scale + shift, folded into one convolution. */
function scaledConv(weights: Weights, name: string, spec: ConvSpec): ConvWeights {
  const { side, inputs, outputs, inputFactor = 1 } = spec;
  const shape = [side, side, inputs, outputs] as const;
  const scale = weights.get(`${name}/scale/weights`, [outputs]);
  const shift = weights.get(`${name}/scale/biases`, [outputs]);
  const bias = weights.get(`${name}/conv/bias`, [outputs]);
  return {
    filters: filtersOihw(
      weights.get(`${name}/conv/filters`, shape),
      shape,
      (output) => (scale[output] ?? 0) * inputFactor,
    ),
    bias: bias.map((value, i) => value * (scale[i] ?? 0) + (shift[i] ?? 0)),
    shape: [outputs, inputs, side, side],
  };
}
