import { GraphBuilder } from "../../onnx/graph-builder.ts";
import type { Model } from "../../onnx/model.ts";
import { convWeights, depthwiseWeights, samePad } from "./layers.ts";
import type { Weights } from "./tfjs-weights.ts";

/** Epsilon of the batch normalisation, from the TensorFlow graph this was exported from. */
const EPSILON = 0.0010000000474974513;
const SIDE = 512;
const ANCHORS = 5118;

/** Output channels of the 13 separable layers; layers 2, 4, 6 and 12 halve the side. */
const WIDTHS = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024];
const HALVING = new Set([2, 4, 6, 12]);
/** [input, output] channels of the extra layers; even ones are 1 × 1, odd ones 3 × 3 and halve. */
const EXTRA = [
  [1024, 256],
  [256, 512],
  [512, 128],
  [128, 256],
  [256, 128],
  [128, 256],
  [256, 64],
  [64, 128],
] as const;
/** Anchors of a cell, per feature map. */
const MAP_ANCHORS = [3, 6, 6, 6, 6, 6];

/**
 * SSD MobileNet v1 of face-api: 512 × 512 RGB → encodings and scores of 5,118 anchors, and the
 * anchors themselves, which are stored among the weights as (ymin, xmin, ymax, xmax) in 0..1.
 */
export function ssdMobilenet(weights: Weights): Model {
  const graph = new GraphBuilder();
  const maps = backbone(graph, weights);
  const encodings = head(graph, weights, maps, { name: "BoxEncodingPredictor", values: 4 });
  const classes = head(graph, weights, maps, { name: "ClassPredictor", values: 3 });
  const anchors = weights.get("Output/extra_dim", [1, ANCHORS, 4]);
  const anchorValue = graph.node("Identity", [graph.constant("anchors", [ANCHORS, 4], anchors)]);
  return graph.finish("ssd_mobilenet", { name: "image", dims: [1, SIDE, SIDE, 3] }, [
    { name: "encodings", from: encodings, dims: [1, ANCHORS, 4] },
    { name: "classes", from: classes, dims: [1, ANCHORS, 3] },
    { name: "anchor_corners", from: anchorValue, dims: [ANCHORS, 4] },
  ]);
}

function backbone(graph: GraphBuilder, weights: Weights): { name: string; channels: number }[] {
  // x / 127.5 - 1 = (x - 127.5) / 127.5; zero padding follows it, so only the factor is folded.
  const stem = convWeights(
    weights,
    {
      filters: "MobilenetV1/Conv2d_0_pointwise/weights",
      bias: "MobilenetV1/Conv2d_0_pointwise/convolution_bn_offset",
    },
    { side: 3, inputs: 3, outputs: 32 },
    1 / 127.5,
  );
  const image = graph.image("image", [127.5, 127.5, 127.5]);
  let value = graph.relu6(graph.conv(image, stem, { stride: 2, pad: samePad(2) }));
  const maps: { name: string; channels: number }[] = [];
  let inputs = 32;
  WIDTHS.forEach((outputs, i) => {
    const layer = i + 1;
    const stride = HALVING.has(layer) ? 2 : 1;
    const depthwise = normalisedDepthwise(weights, layer, inputs);
    value = graph.relu6(graph.depthwise(value, depthwise, { stride, pad: samePad(stride) }));
    const name = `MobilenetV1/Conv2d_${layer}_pointwise`;
    const pointwise = convWeights(
      weights,
      { filters: `${name}/weights`, bias: `${name}/convolution_bn_offset` },
      { side: 1, inputs, outputs },
    );
    value = graph.relu6(graph.conv(value, pointwise));
    if (layer === 11 || layer === 13) maps.push({ name: value, channels: outputs });
    inputs = outputs;
  });
  EXTRA.forEach(([from, outputs], i) => {
    const halves = i % 2 === 1;
    const name = `Prediction/Conv2d_${i}_pointwise`;
    const layer = convWeights(
      weights,
      { filters: `${name}/weights`, bias: `${name}/convolution_bn_offset` },
      { side: halves ? 3 : 1, inputs: from, outputs },
    );
    const options = halves ? { stride: 2, pad: samePad(2) } : {};
    value = graph.relu6(graph.conv(value, layer, options));
    if (halves) maps.push({ name: value, channels: outputs });
  });
  return maps;
}

/** Depthwise filters with the batch normalisation after them folded in. */
function normalisedDepthwise(weights: Weights, layer: number, channels: number) {
  const name = `MobilenetV1/Conv2d_${layer}_depthwise`;
  const statistic = (what: string): Float32Array =>
    weights.get(`${name}/BatchNorm/${what}`, [channels]);
  const [gamma, beta] = [statistic("gamma"), statistic("beta")];
  const [mean, variance] = [statistic("moving_mean"), statistic("moving_variance")];
  const scale = gamma.map((value, i) => value / Math.sqrt((variance[i] ?? 0) + EPSILON));
  return depthwiseWeights(
    weights.get(`${name}/depthwise_weights`, [3, 3, channels, 1]),
    channels,
    beta.map((value, i) => value - (mean[i] ?? 0) * (scale[i] ?? 0)),
    (channel) => scale[channel] ?? 0,
  );
}

function head(
  graph: GraphBuilder,
  weights: Weights,
  maps: readonly { name: string; channels: number }[],
  predictor: { readonly name: string; readonly values: number },
): string {
  const parts = maps.map(({ name, channels }, i) => {
    const prefix = `Prediction/BoxPredictor_${i}/${predictor.name}`;
    const outputs = (MAP_ANCHORS[i] ?? 0) * predictor.values;
    const conv = convWeights(
      weights,
      { filters: `${prefix}/weights`, bias: `${prefix}/biases` },
      { side: 1, inputs: channels, outputs },
    );
    const cells = graph.node("Transpose", [graph.conv(name, conv)], {
      perm: { kind: "ints", value: [0, 2, 3, 1] },
    });
    return graph.reshape(cells, [1, -1, predictor.values]);
  });
  return graph.node("Concat", parts, { axis: { kind: "int", value: 1 } });
}
