/**
 * Whether a face is covered: by a mask, sunglasses, a hat, a hand, or what stands before half of it.
 * A recogniser sees the thing rather than the person: two people in one kind of mask are alike.
 *
 * A small net on 32 × 32 px, 0.3 million multiplications: four 3 × 3 convolutions of stride 2, each
 * with a ReLU, and one sum. It was trained on the faces of docs/accuracy.md, bare and with things of
 * random colour, texture and shape drawn on them; what it finds and misses stands there.
 */
import { invariant } from "../../shared/core/errors.ts";
import { fitSimilarity, invertSimilarity, type Similarity } from "./align.ts";
import { COVERAGE_WEIGHTS } from "./coverage-weights.ts";

/** Of the chip that is looked at, px. */
export const COVERAGE_SIDE = 32;
/** The five points in it: as in ArcFace's template, with more of the forehead and the chin. */
const TARGET = [
  38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041,
].map((at) => ((at - 56) * 0.82 + 56) * (COVERAGE_SIDE / 112) - 0.25);
/** Channels before and after each convolution. */
const CHANNELS = [3, 12, 16, 24, 24] as const;
const KERNEL = 3;
/** Log odds from which on a face is covered: a few are let through rather than residents refused. */
const COVERED_MIN = 3;
/** The same for a face of which the detector is unsure, too. */
const COVERED_MIN_UNSURE = -3;
/** The detector's confidence, from where on and to where. */
const SURE_FROM = 0.65;
const UNSURE_TO = 0.5;
/** Luma from here on is white: the sensor has seen nothing there. */
const WHITE = 248;
/** So much of a face is never white in the bare photos: 0.155 at most. */
const WHITE_PART_MAX = 0.2;
/** The part of the chip that is face and no background, px: rows, then columns. */
const FACE = { top: 5, bottom: 28, left: 6, right: 26 } as const;

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  /** [row][column][input][output] */
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** From the chip to the picture, for five points found in it. */
export function coverageChip(points: Float32Array): Similarity {
  return invertSimilarity(fitSimilarity(points, TARGET));
}

/** Whether too much of the face is white to tell who it is. */
export function isOverexposed(chip: Uint8Array): boolean {
  let white = 0;
  for (let y = FACE.top; y < FACE.bottom; y++) {
    for (let x = FACE.left; x < FACE.right; x++) {
      const i = (y * COVERAGE_SIDE + x) * 3;
      // ITU-R BT.601.
      const [r, g, b] = [chip[i] ?? 0, chip[i + 1] ?? 0, chip[i + 2] ?? 0];
      if (0.299 * r + 0.587 * g + 0.114 * b >= WHITE) white++;
    }
  }
  return white > WHITE_PART_MAX * (FACE.bottom - FACE.top) * (FACE.right - FACE.left);
}

/** Looked at as it is and in the mirror: what is missed one way is mostly seen the other. */
export function isCovered(chip: Uint8Array, confidence: number): boolean {
  const unsure = Math.min(1, Math.max(0, (SURE_FROM - confidence) / (SURE_FROM - UNSURE_TO)));
  const least = COVERED_MIN + unsure * (COVERED_MIN_UNSURE - COVERED_MIN);
  return Math.max(coverageScore(chip), coverageScore(mirrored(chip))) > least;
}

function mirrored(chip: Uint8Array): Uint8Array {
  const out = new Uint8Array(chip.length);
  for (let i = 0; i < chip.length; i += 3) {
    const x = (i / 3) % COVERAGE_SIDE;
    out.set(chip.subarray(i, i + 3), i + 3 * (COVERAGE_SIDE - 1 - 2 * x));
  }
  return out;
}

/** The net's log odds that a face is covered. */
function coverageScore(chip: Uint8Array): number {
  invariant(chip.length === COVERAGE_SIDE * COVERAGE_SIDE * 3, "a chip has the net's size");
  LAYERS ??= readLayers();
  let values = normalised(chip);
  let side = COVERAGE_SIDE;
  for (const layer of LAYERS.slice(0, -1)) {
    values = convolve(values, side, layer);
    side /= 2;
  }
  const sum = LAYERS.at(-1);
  invariant(sum !== undefined && values.length === sum.inputs, "the last layer takes all there is");
  return values.reduce((all, value, i) => all + value * (sum.weights[i] ?? 0), sum.bias[0] ?? 0);
}

let LAYERS: readonly Layer[] | undefined;

function readLayers(): readonly Layer[] {
  const bytes = COVERAGE_WEIGHTS;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const floats = (count: number): Float32Array =>
    Float32Array.from({ length: count }, () => {
      at += 4;
      return view.getFloat32(at - 4, true);
    });
  const layer = (inputs: number, outputs: number, taps: number): Layer => {
    const scale = floats(outputs);
    const bias = floats(outputs);
    const weights = Float32Array.from({ length: taps * inputs * outputs }, (_, i) => {
      return view.getInt8(at + i) * (scale[i % outputs] ?? 0);
    });
    at += weights.length;
    return { inputs, outputs, weights, bias };
  };
  const convolutions = CHANNELS.slice(1).map((outputs, i) =>
    layer(CHANNELS[i] ?? 0, outputs, KERNEL * KERNEL),
  );
  const side = COVERAGE_SIDE / 2 ** convolutions.length;
  const all = [...convolutions, layer(side * side * (CHANNELS.at(-1) ?? 0), 1, 1)];
  invariant(at === bytes.length, "the weights are those of this net");
  return all;
}

/** Around the mean, in standard deviations of the brightness: neither light nor gain matter. */
function normalised(chip: Uint8Array): Float32Array {
  const count = chip.length / 3;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < chip.length; i += 3) {
    const grey = ((chip[i] ?? 0) + (chip[i + 1] ?? 0) + (chip[i + 2] ?? 0)) / 3;
    sum += grey;
    squares += grey * grey;
  }
  const mean = sum / count;
  const spread = Math.sqrt(Math.max(0, squares / count - mean * mean)) + 4;
  return Float32Array.from(chip, (value) => (value - mean) / spread);
}

/** Stride 2; a row and a column of nothing behind the last ones. */
function convolve(
  input: Float32Array,
  side: number,
  { inputs, outputs, weights, bias }: Layer,
): Float32Array {
  const half = side / 2;
  const output = new Float32Array(half * half * outputs);
  for (let y = 0, o = 0; y < half; y++) {
    for (let x = 0; x < half; x++, o += outputs) {
      const sums = output.subarray(o, o + outputs);
      sums.set(bias);
      for (let row = 0; row < KERNEL && 2 * y + row < side; row++) {
        for (let column = 0; column < KERNEL && 2 * x + column < side; column++) {
          const from = ((2 * y + row) * side + 2 * x + column) * inputs;
          const tap = (row * KERNEL + column) * inputs;
          for (let c = 0; c < inputs; c++)
            add(sums, input[from + c] ?? 0, weights, (tap + c) * outputs);
        }
      }
      for (let c = 0; c < outputs; c++) sums[c] = Math.max(0, sums[c] ?? 0);
    }
  }
  return output;
}

function add(sums: Float32Array, value: number, weights: Float32Array, at: number): void {
  if (value === 0) return;
  for (let c = 0; c < sums.length; c++) sums[c] = (sums[c] ?? 0) + value * (weights[at + c] ?? 0);
}
