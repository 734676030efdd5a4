import { invariant, PorchlightError } from "../../../shared/core/errors.ts";
import {
  ELEMENT,
  elementsOf,
  floatTensor,
  int,
  ints,
  type Model,
  type Node,
  numbersOf,
  type Tensor,
} from "../onnx/model.ts";

/**
 * Weights that are graph inputs as well can be overridden by the caller, so a runtime must ask for
 * them and may fold nothing. What has a value, or that no node reads, is no input.
 */
export function keepRealInputs(model: Model): void {
  const weights = new Set(model.initialisers.map(({ name }) => name));
  const used = new Set(model.nodes.flatMap(({ inputs }) => inputs));
  model.inputs = model.inputs.filter(({ name }) => used.has(name) && !weights.has(name));
}

/** Replaces DequantizeLinear of weights, and Reshape of what it gave, by plain float32 weights. */
export function dequantiseWeights(model: Model): void {
  const weights = new Map(model.initialisers.map((tensor) => [tensor.name, tensor]));
  const nodes: Node[] = [];
  const dequantised = new Set<string>();
  for (const node of model.nodes) {
    const [output = ""] = node.outputs;
    const [first = "", second = ""] = node.inputs;
    const source = weights.get(first);
    if (node.op === "DequantizeLinear" && source) {
      weights.set(output, dequantise(node, weights));
      dequantised.add(output);
    } else if (node.op === "Reshape" && source && dequantised.has(first)) {
      const shape = weights.get(second);
      invariant(shape, "weights are reshaped by a constant");
      weights.set(output, { ...source, name: output, dims: [...numbersOf(shape)] });
      dequantised.add(output);
    } else {
      nodes.push(node);
    }
  }
  model.nodes = nodes;
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  model.initialisers = [...weights.values()].filter(({ name }) => used.has(name));
}

/**
 * (q - zero) * scale, where one scale and zero serve a block of `block_size` values along `axis`
 * (ONNX operator DequantizeLinear, version 21).
 */
function dequantise(node: Node, weights: ReadonlyMap<string, Tensor>): Tensor {
  const [quantised, scales, zeros] = node.inputs.map((name) => weights.get(name));
  invariant(quantised && scales, "quantised weights and their scales are constants");
  const { axis, block_size: blockSize } = node.attributes;
  const at = axis?.kind === "int" ? axis.value : 1;
  const block = blockSize?.kind === "int" ? blockSize.value : 0;
  const { dims } = quantised;
  const length = dims[at] ?? 1;
  const inner = elementsOf(dims.slice(at + 1));
  const blocks = scales.dims[at] ?? 1;
  if (block === 0 || Math.ceil(length / block) !== blocks) {
    throw new PorchlightError(
      "model.file.unsupported",
      `cannot prepare this ONNX file: ${node.name} is not quantised in blocks`,
    );
  }
  const values = numbersOf(quantised);
  const scale = numbersOf(scales);
  const zero = zeros ? numbersOf(zeros) : undefined;
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const outer = Math.floor(i / (length * inner));
    const along = Math.floor(i / inner) % length;
    const k = (outer * blocks + Math.floor(along / block)) * inner + (i % inner);
    out[i] = ((values[i] ?? 0) - (zero?.[k] ?? 0)) * (scale[k] ?? 0);
  }
  return floatTensor(node.outputs[0] ?? "", dims, out);
}

export interface ImageInput {
  readonly batch: number | string;
  readonly height: number | string;
  readonly width: number | string;
  /** Subtracted from each channel, RGB, 0..255. */
  readonly meanRgb?: readonly number[];
}

/** Lets the net take uint8 NHWC RGB under the name "image": its own first nodes lay it out. */
export function takeImage(model: Model, { batch, height, width, meanRgb }: ImageInput): void {
  const [input] = model.inputs;
  invariant(input && model.inputs.length === 1, "the net has one input");
  const steps: Node[] = [
    {
      op: "Transpose",
      name: "image_planes",
      inputs: ["image"],
      outputs: ["image_planes"],
      attributes: { perm: ints([0, 3, 1, 2]) },
    },
    {
      op: "Cast",
      name: "image_floats",
      inputs: ["image_planes"],
      outputs: [meanRgb ? "image_floats" : input.name],
      attributes: { to: int(ELEMENT.float32) },
    },
  ];
  if (meanRgb) {
    model.initialisers.push(floatTensor("image_mean", [1, 3, 1, 1], meanRgb));
    steps.push({
      op: "Sub",
      name: "image_centred",
      inputs: ["image_floats", "image_mean"],
      outputs: [input.name],
      attributes: {},
    });
  }
  model.nodes = [...steps, ...model.nodes];
  model.inputs = [{ name: "image", type: ELEMENT.uint8, dims: [batch, height, width, 3] }];
}

/**
 * Rewrites the filters of the convolution that reads the input: `from[i]` is the channel that the
 * new channel i was, `scale[i]` what it is multiplied by.
 */
export function rewriteStem(
  model: Model,
  { from, scale }: { readonly from: readonly number[]; readonly scale: readonly number[] },
): void {
  const [input] = model.inputs;
  const stem = model.nodes.find(({ inputs }) => inputs[0] === input?.name);
  invariant(stem?.op === "Conv", "the input goes into a convolution");
  const index = model.initialisers.findIndex(({ name }) => name === stem.inputs[1]);
  const filters = model.initialisers[index];
  invariant(filters && filters.dims[1] === from.length, "the filters read as many channels");
  const values = numbersOf(filters);
  const out = new Float32Array(values.length);
  const area = elementsOf(filters.dims.slice(2));
  for (let i = 0; i < out.length; i++) {
    const channel = Math.floor(i / area) % from.length;
    const base = i - channel * area;
    out[i] = (values[base + (from[channel] ?? 0) * area] ?? 0) * (scale[channel] ?? 0);
  }
  model.initialisers[index] = floatTensor(filters.name, filters.dims, out);
}

/** Replaces the node that makes the only output by one that keeps the batch: [batch, rest]. */
export function flattenOutput(model: Model): void {
  const [output] = model.outputs;
  const index = model.nodes.findIndex(({ outputs }) => outputs[0] === output?.name);
  const last = model.nodes[index];
  invariant(last?.op === "Reshape", "the output is a reshaped vector");
  const inputs = last.inputs.slice(0, 1);
  model.nodes[index] = { ...last, op: "Flatten", inputs, attributes: { axis: int(1) } };
}

/** Gives the only output another name and shape. */
export function renameOutput(model: Model, name: string, dims: readonly (number | string)[]): void {
  const [output] = model.outputs;
  invariant(output && model.outputs.length === 1, "the net has one output");
  for (const node of model.nodes) {
    node.outputs.forEach((value, i) => {
      if (value === output.name) node.outputs[i] = name;
    });
  }
  model.outputs = [{ name, type: ELEMENT.float32, dims }];
}
