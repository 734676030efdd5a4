import { GraphBuilder } from "../../onnx/graph-builder.ts";
import type { Model } from "../../onnx/model.ts";
import { convWeights, depthwiseWeights, filtersOihw, samePad } from "./layers.ts";
import type { Weights } from "./tfjs-weights.ts";

const MEAN_RGB = [122.782, 117.001, 104.298];
const CHANNELS = [32, 64, 128, 256];

/**
 * The 68-point landmark net of face-api: 112 × 112 RGB → 136 numbers, x0 y0 x1 y1 … in 0..1 of the
 * square input. Four dense blocks of four separable convolutions; each sums all before it.
 */
export function landmarks68(weights: Weights): Model {
  const graph = new GraphBuilder();

  const separable = (input: string, name: string, channels: Channels, stride = 1): string => {
    const depthwise = depthwiseWeights(
      weights.get(`${name}/depthwise_filter`, [3, 3, channels.inputs, 1]),
      channels.inputs,
    );
    const wide = graph.depthwise(input, depthwise, { stride, pad: samePad(stride) });
    const shape = [1, 1, channels.inputs, channels.outputs] as const;
    return graph.conv(wide, {
      filters: filtersOihw(weights.get(`${name}/pointwise_filter`, shape), shape),
      bias: weights.get(`${name}/bias`, [channels.outputs]),
      shape: [channels.outputs, channels.inputs, 1, 1],
    });
  };

  const denseBlock = (first: string, name: string, width: number): string => {
    const channels = { inputs: width, outputs: width };
    const one = graph.relu(first);
    const two = separable(one, `${name}/conv1`, channels);
    const sumTwo = graph.add(one, two);
    const three = separable(graph.relu(sumTwo), `${name}/conv2`, channels);
    const sumThree = graph.add(sumTwo, three);
    const four = separable(graph.relu(sumThree), `${name}/conv3`, channels);
    return graph.relu(graph.add(sumThree, four));
  };

  const stem = convWeights(
    weights,
    { filters: "dense0/conv0/filters", bias: "dense0/conv0/bias" },
    { side: 3, inputs: 3, outputs: 32 },
    1 / 255,
  );
  const image = graph.image("image", MEAN_RGB);
  let value = denseBlock(graph.conv(image, stem, { stride: 2, pad: samePad(2) }), "dense0", 32);
  CHANNELS.slice(1).forEach((outputs, i) => {
    const name = `dense${i + 1}`;
    const first = separable(value, `${name}/conv0`, { inputs: outputs / 2, outputs }, 2);
    value = denseBlock(first, name, outputs);
  });
  value = graph.flatten(graph.pool("AveragePool", value, 7, { stride: 1 }));
  const points = graph.gemm(
    value,
    weights.get("fc/weights", [256, 136]),
    [256, 136],
    weights.get("fc/bias", [136]),
  );
  return graph.finish("landmarks_68", { name: "image", dims: ["batch", 112, 112, 3] }, [
    { name: "points", from: points, dims: ["batch", 136] },
  ]);
}

interface Channels {
  readonly inputs: number;
  readonly outputs: number;
}
