import { invariant } from "../../shared/core/errors.ts";
import { COVERAGE_WEIGHTS } from "./coverage-weights.ts";
import { encodeModel } from "./onnx/encode.ts";
import { GraphBuilder } from "./onnx/graph-builder.ts";
import { ELEMENT, int, ints, type Model } from "./onnx/model.ts";

/** Of the chip that the net looks at, px. */
export const COVERAGE_SIDE = 32;
/** Channels before and after each convolution. */
const CHANNELS = [3, 12, 16, 24, 24] as const;
const KERNEL = 3;
/** The same brightness everywhere would be divided by nothing. */
const SPREAD_MIN = 4;

/**
 * The net of coverage.ts, as an ONNX file: `image`, uint8 [batch, 32, 32, 3], to `log_odds`,
 * float32 [batch], that a face is covered. Looked at as it is and in the mirror, and the surer
 * counts: what is missed one way is mostly seen the other.
 */
export function coverageNet(): Buffer {
  return encodeModel(graph());
}

function graph(): Model {
  const weights = new Weights(COVERAGE_WEIGHTS);
  const net = new GraphBuilder();
  const planes = net.node("Transpose", ["image"], { perm: ints([0, 3, 1, 2]) });
  const bytes = net.node("Cast", [planes], { to: int(ELEMENT.float32) });
  const shown = net.node("Concat", [bytes, mirrored(net, bytes)], { axis: int(0) });
  let values = normalised(net, shown);
  for (const [i, outputs] of CHANNELS.slice(1).entries()) {
    const inputs = CHANNELS[i] ?? 0;
    const { bias, filters } = weights.layer(inputs, outputs, KERNEL * KERNEL);
    const shape = [outputs, inputs, KERNEL, KERNEL] as const;
    values = net.relu(net.conv(values, { filters, bias, shape }, { stride: 2, pad: [0, 1] }));
  }
  const side = COVERAGE_SIDE / 2 ** (CHANNELS.length - 1);
  const depth = CHANNELS.at(-1) ?? 0;
  const { bias, filters } = weights.layer(depth, 1, side * side);
  weights.end();
  const sum = net.conv(values, { filters, bias, shape: [1, depth, side, side] });
  const both = net.reshape(sum, [2, -1]);
  const surer = net.node("ReduceMax", [both], { axes: ints([0]), keepdims: int(0) });
  return net.finish(
    "coverage",
    { name: "image", dims: ["batch", COVERAGE_SIDE, COVERAGE_SIDE, 3] },
    [{ name: "log_odds", from: surer, dims: ["batch"] }],
  );
}

function mirrored(net: GraphBuilder, planes: string): string {
  const at = (name: string, value: number) => net.integers(`mirror_${name}`, [value]);
  const sides = [at("from", COVERAGE_SIDE - 1), at("to", -COVERAGE_SIDE - 1)];
  return net.node("Slice", [planes, ...sides, at("axis", 3), at("step", -1)]);
}

/** Around the mean, in standard deviations of the brightness: neither light nor gain matter. */
function normalised(net: GraphBuilder, planes: string): string {
  const mean = net.node("ReduceMean", [planes], { axes: ints([1, 2, 3]) });
  const centred = net.node("Sub", [planes, mean]);
  const grey = net.node("ReduceMean", [centred], { axes: ints([1]) });
  const squares = net.node("Mul", [grey, grey]);
  const variance = net.node("ReduceMean", [squares], { axes: ints([2, 3]) });
  const deviation = net.node("Sqrt", [variance]);
  const spread = net.add(deviation, net.scalar("spread_min", SPREAD_MIN));
  return net.node("Div", [centred, spread]);
}

/**
 * For each layer in turn, little-endian: a float32 scale and a float32 bias for each output, then
 * int8 weights, [row][column][input][output].
 */
class Weights {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Filters in ONNX's layout, OIHW. */
  layer(inputs: number, outputs: number, taps: number) {
    const scale = this.#floats(outputs);
    const bias = this.#floats(outputs);
    const filters = new Float32Array(taps * inputs * outputs);
    for (let i = 0; i < filters.length; i++) {
      const [output, input] = [i % outputs, Math.floor(i / outputs) % inputs];
      const tap = Math.floor(i / (outputs * inputs));
      const value = this.#view.getInt8(this.#at + i) * (scale[output] ?? 0);
      filters[(output * inputs + input) * taps + tap] = value;
    }
    this.#at += filters.length;
    return { bias, filters };
  }

  end(): void {
    invariant(this.#at === this.#view.byteLength, "the weights are those of this net");
  }

  #floats(count: number): Float32Array {
    return Float32Array.from({ length: count }, () => {
      this.#at += Float32Array.BYTES_PER_ELEMENT;
      return this.#view.getFloat32(this.#at - Float32Array.BYTES_PER_ELEMENT, true);
    });
  }
}
