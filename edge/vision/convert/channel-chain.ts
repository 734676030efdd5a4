import type { Model, Node } from "../onnx/model.ts";
import type { Constants } from "./constants.ts";

/**
 * Two convolutions of every channel, and what lies between, where each channel passes alone:
 *
 *   Conv → (Relu | PRelu | BatchNormalization | depthwise Conv) … → Conv
 *
 * Nothing else reads the values between, or the constants of these nodes.
 */
export interface ChannelChain {
  readonly channels: number;
  readonly first: Node;
  readonly between: readonly Node[];
  readonly last: Node;
}

export function channelChains(model: Model, constants: Constants): ChannelChain[] {
  const readers = new Map<string, Node[]>();
  for (const node of model.nodes) {
    for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const results = new Set(model.outputs.map(({ name }) => name));
  const own = (node: Node): boolean =>
    node.inputs.slice(1).every((name) => constants.has(name) && readers.get(name)?.length === 1);
  const onlyReader = (node: Node): Node | undefined => {
    const [value = "", ...more] = node.outputs;
    const [reader, ...others] = readers.get(value) ?? [];
    const alone = more.length === 0 && others.length === 0 && !results.has(value);
    return alone && reader?.inputs[0] === value && own(reader) ? reader : undefined;
  };

  return model.nodes.flatMap((first) => {
    if (!isFull(first, constants) || !own(first)) return [];
    const channels = constants.of(first, 1).dims[0] ?? 0;
    const between: Node[] = [];
    for (let node = onlyReader(first); node !== undefined; node = onlyReader(node)) {
      if (isFull(node, constants)) return [{ channels, first, between, last: node }];
      if (!isSeparate(node, channels, constants)) return [];
      between.push(node);
    }
    return [];
  });
}

/** Whether a convolution has a border of zeros around its input. */
export function isPadded({ attributes: { pads, auto_pad: auto } }: Node): boolean {
  if (auto?.kind === "string" && !["NOTSET", "VALID"].includes(auto.value)) return true;
  return pads?.kind === "ints" && pads.value.some((pad) => pad !== 0);
}

function groupOf({ attributes: { group } }: Node): number {
  return group?.kind === "int" ? group.value : 1;
}

function isFull(node: Node, constants: Constants): boolean {
  return node.op === "Conv" && groupOf(node) === 1 && constants.has(node.inputs[1]);
}

/** Whether each channel becomes a channel, by constants of its own. */
function isSeparate(node: Node, channels: number, constants: Constants): boolean {
  const sized = (input: number): boolean =>
    constants.has(node.inputs[input]) && constants.numbers(node, input).length === channels;
  switch (node.op) {
    case "Relu":
      return true;
    case "PRelu":
      return sized(1);
    case "BatchNormalization":
      return [1, 2, 3, 4].every(sized);
    case "Conv": {
      const [rows, depth] = constants.of(node, 1).dims;
      return groupOf(node) === channels && rows === channels && depth === 1;
    }
    default:
      return false;
  }
}
