import {
  type Attribute,
  ELEMENT,
  float,
  floatTensor,
  int,
  ints,
  intTensor,
  type Model,
  type Node,
  type Tensor,
} from "./model.ts";

/** Operator set 13 and file format 8: the newest that every ONNX Runtime since 1.9 reads. */
const OPSET = 13;
const IR_VERSION = 8;

/** A convolution's weights in ONNX layout: OIHW, or [C,1,H,W] where each channel is its own group. */
export interface ConvWeights {
  readonly filters: Float32Array;
  readonly bias: Float32Array | undefined;
  /** [output channels, input channels of a group, height, width]. */
  readonly shape: readonly [number, number, number, number];
}

export interface ConvOptions {
  readonly stride?: number;
  /** Pools only: a last window that hangs over the edge counts. */
  readonly ceil?: boolean;
  /** Zeros before and after, the same in height and width. */
  readonly pad?: readonly [before: number, after: number];
}

/** Writes a graph node by node; every method returns the name of the value it made. */
export class GraphBuilder {
  readonly #nodes: Node[] = [];
  readonly #initialisers = new Map<string, Tensor>();
  #count = 0;

  node(op: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    const name = `${op.toLowerCase()}_${this.#count++}`;
    this.#nodes.push({ op, name, inputs, outputs: [name], attributes });
    return name;
  }

  /**
   * From RGB bytes as they lie in memory, NHWC, to what the first layer wants: float32 NCHW minus
   * the mean. The transpose comes first because it moves a quarter of the memory as bytes.
   */
  image(input: string, meanRgb: readonly number[]): string {
    const planes = this.node("Transpose", [input], { perm: ints([0, 3, 1, 2]) });
    const floats = this.node("Cast", [planes], { to: int(ELEMENT.float32) });
    return this.node("Sub", [floats, this.constant("mean_rgb", [1, 3, 1, 1], meanRgb)]);
  }

  conv(input: string, { filters, bias, shape }: ConvWeights, options: ConvOptions = {}): string {
    const { stride = 1, pad = [0, 0] } = options;
    const [outputs, , height, width] = shape;
    const prefix = `conv_${this.#count}`;
    const inputs = [input, this.constant(`${prefix}_filters`, shape, filters)];
    if (bias) inputs.push(this.constant(`${prefix}_bias`, [outputs], bias));
    return this.node("Conv", inputs, {
      kernel_shape: ints([height, width]),
      strides: ints([stride, stride]),
      pads: ints([pad[0], pad[0], pad[1], pad[1]]),
    });
  }

  /** One filter a channel. */
  depthwise(input: string, weights: ConvWeights, options: ConvOptions = {}): string {
    const output = this.conv(input, weights, options);
    const node = this.#nodes.at(-1);
    if (node) node.attributes["group"] = int(weights.shape[0]);
    return output;
  }

  relu(input: string): string {
    return this.node("Relu", [input]);
  }

  leakyRelu(input: string, slope: number): string {
    return this.node("LeakyRelu", [input], { alpha: float(slope) });
  }

  /** min(max(x, 0), 6). */
  relu6(input: string): string {
    return this.node("Clip", [input, this.scalar("zero", 0), this.scalar("six", 6)]);
  }

  add(a: string, b: string): string {
    return this.node("Add", [a, b]);
  }

  pool(kind: "MaxPool" | "AveragePool", input: string, side: number, options: ConvOptions): string {
    const { stride = 1, pad = [0, 0], ceil = false } = options;
    return this.node(kind, [input], {
      ceil_mode: int(ceil ? 1 : 0),
      kernel_shape: ints([side, side]),
      strides: ints([stride, stride]),
      pads: ints([pad[0], pad[0], pad[1], pad[1]]),
    });
  }

  /** Appends zeros: channels at the end, rows at the bottom, columns at the right. */
  pad(input: string, channels: number, rows: number, columns: number): string {
    const sizes = [0, 0, 0, 0, 0, channels, rows, columns];
    return this.node("Pad", [input, this.integers(`pad_${this.#count}_sizes`, sizes)]);
  }

  gemm(input: string, weights: Float32Array, shape: [number, number], bias?: Float32Array): string {
    const prefix = `gemm_${this.#count}`;
    const inputs = [input, this.constant(`${prefix}_weights`, shape, weights)];
    if (bias) inputs.push(this.constant(`${prefix}_bias`, [shape[1]], bias));
    return this.node("Gemm", inputs);
  }

  flatten(input: string): string {
    return this.node("Flatten", [input], { axis: int(1) });
  }

  reshape(input: string, dims: readonly number[]): string {
    return this.node("Reshape", [input, this.integers(`reshape_${this.#count}_dims`, dims)]);
  }

  constant(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    this.#initialisers.set(name, floatTensor(name, dims, values));
    return name;
  }

  integers(name: string, values: readonly number[]): string {
    this.#initialisers.set(name, intTensor(name, values));
    return name;
  }

  scalar(name: string, value: number): string {
    return this.constant(name, [], [value]);
  }

  /** `input` is uint8 NHWC RGB; outputs name a value of the graph and its shape. */
  finish(
    name: string,
    input: { readonly name: string; readonly dims: readonly (number | string)[] },
    outputs: readonly {
      readonly name: string;
      readonly from: string;
      readonly dims: readonly (number | string)[];
    }[],
  ): Model {
    for (const output of outputs) {
      this.#nodes.push({
        op: "Identity",
        name: output.name,
        inputs: [output.from],
        outputs: [output.name],
        attributes: {},
      });
    }
    return {
      irVersion: IR_VERSION,
      opset: OPSET,
      name,
      nodes: this.#nodes,
      initialisers: [...this.#initialisers.values()],
      inputs: [{ ...input, type: ELEMENT.uint8 }],
      outputs: outputs.map(({ name: output, dims }) => ({
        name: output,
        type: ELEMENT.float32,
        dims,
      })),
    };
  }
}
