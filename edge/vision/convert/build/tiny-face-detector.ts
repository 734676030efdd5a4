import { GraphBuilder } from "../../onnx/graph-builder.ts";
import type { Model } from "../../onnx/model.ts";
import { convWeights, depthwiseWeights, filtersOihw } from "./layers.ts";
import type { Weights } from "./tfjs-weights.ts";

const MEAN_RGB = [117.001, 114.697, 97.404];
const CHANNELS = [16, 32, 64, 128, 256, 512];
const LEAK = 0.1;

/**
 * The tiny face detector of face-api (a separable YOLOv2): RGB with sides that are multiples of 32
 * → grid NHWC [1, H/32, W/32, 25], five anchors of (tx, ty, tw, th, objectness).
 */
export function tinyFaceDetector(weights: Weights): Model {
  const graph = new GraphBuilder();
  const stem = convWeights(
    weights,
    { filters: "conv0/filters", bias: "conv0/bias" },
    { side: 3, inputs: 3, outputs: 16 },
    1 / 255,
  );
  let value = graph.leakyRelu(graph.conv(graph.image("image", MEAN_RGB), stem), LEAK);
  // The unpadded first layer leaves an even side; from there on sides halve, the odd ones rounded up.
  value = graph.pool("MaxPool", value, 2, { stride: 2 });
  CHANNELS.slice(1).forEach((outputs, i) => {
    const inputs = outputs / 2;
    const name = `conv${i + 1}`;
    const filters = weights.get(`${name}/depthwise_filter`, [3, 3, inputs, 1]);
    const shape = [1, 1, inputs, outputs] as const;
    value = graph.depthwise(value, depthwiseWeights(filters, inputs), { pad: [1, 1] });
    value = graph.conv(value, {
      filters: filtersOihw(weights.get(`${name}/pointwise_filter`, shape), shape),
      bias: weights.get(`${name}/bias`, [outputs]),
      shape: [outputs, inputs, 1, 1],
    });
    value = graph.leakyRelu(value, LEAK);
    value = graph.pool(
      "MaxPool",
      value,
      2,
      // The last pool keeps the side by looking one cell further; the others round up.
      outputs === 512 ? { stride: 1, pad: [0, 1] } : { stride: 2, ceil: true },
    );
  });
  const head = convWeights(
    weights,
    { filters: "conv8/filters", bias: "conv8/bias" },
    { side: 1, inputs: 512, outputs: 25 },
  );
  const grid = graph.node("Transpose", [graph.conv(value, head)], {
    perm: { kind: "ints", value: [0, 2, 3, 1] },
  });
  return graph.finish("tiny_face_detector", { name: "image", dims: [1, "height", "width", 3] }, [
    { name: "grid", from: grid, dims: [1, "rows", "columns", 25] },
  ]);
}
