import { elementsOf, int, type Model, type Node } from "../onnx/model.ts";
import { type ChannelChain, channelChains, isPadded } from "./channel-chain.ts";
import { Constants } from "./constants.ts";

/**
 * A channel between two convolutions that holds one number whatever the picture, as far as float32
 * can tell by what follows: training drove its filters to zero. What it adds to the outputs of the
 * second convolution is added to the biases there, and its filters are cut out of all nodes.
 * Returns how many channels were cut, of how many between two convolutions.
 */
export function cutDeadChannels(model: Model): { readonly cut: number; readonly of: number } {
  const constants = new Constants(model);
  let [cut, of] = [0, 0];
  for (const chain of channelChains(model, constants)) {
    const known = Array.from({ length: chain.channels }, (_, i) => knownOf(chain, i, constants));
    const kept = living(known);
    of += chain.channels;
    cut += chain.channels - kept.length;
    if (kept.length < chain.channels) shorten(chain, { known, kept, constants });
  }
  return { cut, of };
}

/**
 * How far a channel may move an output of the second convolution: half a unit in the last place of
 * a float32 near 1, as the values of our nets are.
 */
const MOVES_MAX = 2 ** -24;
/** The largest value that is taken to go into the first convolution. */
const VALUE_MAX = 64;
/** ONNX Runtime computes channels in blocks of 8 or 16: a part of one costs as much as all of it. */
const BLOCK = 16;

interface Known {
  /** What the channel holds where it goes into the second convolution, give or take. */
  readonly value: number;
  /** How far that may move an output. */
  readonly moves: number;
  /** What it adds to each output. */
  readonly adds: Float64Array;
}

/** The channels that stay: the living ones, and the liveliest of the others to fill their block. */
function living(known: readonly Known[]): number[] {
  const count = known.filter(({ moves }) => !(moves < MOVES_MAX)).length;
  const room = Math.max(BLOCK, Math.ceil(count / BLOCK) * BLOCK);
  const order = known.map((_, i) => i);
  order.sort((a, b) => (known[b]?.moves ?? 0) - (known[a]?.moves ?? 0) || a - b);
  return order.slice(0, room).sort((a, b) => a - b);
}

function knownOf({ first, between, last }: ChannelChain, i: number, constants: Constants): Known {
  const { bias, absolute } = filterOf(first, i, constants);
  let [value, spread] = [bias, absolute * VALUE_MAX];
  for (const node of between) [value, spread] = passed(node, [value, spread], i, constants);
  const { sums, most } = columnOf(last, i, constants);
  // Over a border the last convolution reads zero and not the value.
  const atBorder = isPadded(last) ? Math.abs(value) : 0;
  return { value, moves: (spread + atBorder) * most, adds: sums.map((sum) => sum * value) };
}

/** A channel's value and how far it may lie from that, behind a node. */
function passed(
  node: Node,
  [value, spread]: readonly [number, number],
  i: number,
  constants: Constants,
): [number, number] {
  const at = (input: number): number => constants.numbers(node, input)[i] ?? Number.NaN;
  if (node.op === "Relu") return [Math.max(0, value), spread];
  if (node.op === "PRelu") {
    const slope = at(1);
    return [value < 0 ? value * slope : value, spread * Math.max(1, Math.abs(slope))];
  }
  if (node.op === "BatchNormalization") {
    const { epsilon } = node.attributes;
    const small = epsilon?.kind === "float" ? epsilon.value : 1e-5;
    const scale = at(1) / Math.sqrt(at(4) + small);
    return [(value - at(3)) * scale + at(2), spread * Math.abs(scale)];
  }
  const { bias, sum, absolute } = filterOf(node, i, constants);
  const atBorder = isPadded(node) ? Math.abs(value) : 0;
  return [bias + value * sum, (spread + atBorder) * absolute];
}

interface Filter {
  readonly bias: number;
  readonly sum: number;
  /** The sum of the absolute weights. */
  readonly absolute: number;
}

function filterOf(node: Node, i: number, constants: Constants): Filter {
  const size = elementsOf(constants.of(node, 1).dims.slice(1));
  const own = constants.numbers(node, 1).subarray(i * size, (i + 1) * size);
  const bias = node.inputs.length > 2 ? (constants.numbers(node, 2)[i] ?? Number.NaN) : 0;
  const sum = own.reduce((all, weight) => all + weight, 0);
  return { bias, sum, absolute: own.reduce((all, weight) => all + Math.abs(weight), 0) };
}

/** What each filter of a convolution makes of a channel, and the most that one makes of it. */
function columnOf(node: Node, i: number, constants: Constants) {
  const { dims } = constants.of(node, 1);
  const [rows = 0, depth = 0] = dims;
  const area = elementsOf(dims.slice(2));
  const weights = constants.numbers(node, 1);
  const sums = new Float64Array(rows);
  let most = 0;
  for (let row = 0; row < rows; row++) {
    const start = (row * depth + i) * area;
    const own = weights.subarray(start, start + area);
    sums[row] = own.reduce((all, weight) => all + weight, 0);
    most = Math.max(
      most,
      own.reduce((all, weight) => all + Math.abs(weight), 0),
    );
  }
  return { sums, most };
}

interface Cut {
  readonly known: readonly Known[];
  readonly kept: readonly number[];
  readonly constants: Constants;
}

function shorten(
  { channels, first, between, last }: ChannelChain,
  { known, kept, constants }: Cut,
): void {
  /** Cuts a constant of which each channel has `size` numbers. */
  const cutRows = (node: Node, input: number): void => {
    const { name, dims } = constants.of(node, input);
    const numbers = constants.numbers(node, input);
    const size = numbers.length / channels;
    const values = kept.flatMap((i) => [...numbers.subarray(i * size, (i + 1) * size)]);
    const cut = dims.map((dim, axis) => (axis === dims.indexOf(channels) ? kept.length : dim));
    constants.replace(name, cut, values);
  };
  for (const node of [first, ...between]) {
    for (let input = 1; input < node.inputs.length; input++) cutRows(node, input);
  }
  const grouped = between.filter(({ op }) => op === "Conv");
  for (const node of grouped) node.attributes["group"] = int(kept.length);

  const { name, dims } = constants.of(last, 1);
  const [rows = 0, , ...sides] = dims;
  const area = elementsOf(sides);
  const weights = constants.numbers(last, 1);
  const columns = Array.from({ length: rows }, (_, row) =>
    kept.flatMap((i) => {
      const start = (row * channels + i) * area;
      return [...weights.subarray(start, start + area)];
    }),
  );
  const bias = last.inputs.length > 2 ? constants.numbers(last, 2).slice() : new Float64Array(rows);
  const stays = new Set(kept);
  for (const { adds } of known.filter((_, i) => !stays.has(i))) {
    for (const [row, add] of adds.entries()) bias[row] = (bias[row] ?? 0) + add;
  }
  constants.replace(name, [rows, kept.length, ...sides], columns.flat());
  if (last.inputs.length === 2) last.inputs.push(`${last.name}_bias`);
  constants.replace(last.inputs[2] ?? "", [rows], bias);
}
