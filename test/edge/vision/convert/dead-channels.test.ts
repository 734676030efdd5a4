import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import * as assert from "uvu/assert";
import { cutDeadChannels } from "../../../../edge/vision/convert/dead-channels.ts";
import { zeroDenormals } from "../../../../edge/vision/convert/denormals.ts";
import { goldenChip } from "../../../../edge/vision/golden.ts";
import { readManifest } from "../../../../edge/vision/manifest.ts";
import { decodeModel } from "../../../../edge/vision/onnx/decode.ts";
import { encodeModel } from "../../../../edge/vision/onnx/encode.ts";
import {
  ELEMENT,
  float,
  floatTensor,
  ints,
  type Model,
  type Node,
  numbersOf,
} from "../../../../edge/vision/onnx/model.ts";
import { pullPack } from "../../../../edge/vision/packs/pull.ts";
import { DEFAULT_PACK } from "../../../support/people.ts";
import { noRegistry, sharedData } from "../../../support/shared-data.ts";
import { suite } from "../../../support/suite.ts";
import { tempFolder } from "../../../support/temp.ts";

const dead = suite("weights and channels that do nothing");
const SIDE = 7;
const CHANNELS = 40;
const [INPUTS, OUTPUTS] = [3, 5];
/** Every third channel is dead. */
const isDead = (channel: number): boolean => channel % 3 === 0;
const DEAD = Array.from({ length: CHANNELS }, (_, i) => i).filter(isDead).length;

/** Numbers from -1 to 1, the same every time. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233));
}

type Way =
  | "filters are zero"
  | "filters are tiny"
  | "nobody reads it"
  | "separate filters are zero";

/** Convolution, all that may lie between, convolution, with channels that are dead in one way. */
function net(way: Way, lastSide: 1 | 3): Model {
  const node = (op: string, inputs: string[], output: string, more = {}): Node => ({
    op,
    name: output,
    inputs,
    outputs: [output],
    attributes: more,
  });
  const around = (side: number) => {
    const pad = (side - 1) / 2;
    return { kernel_shape: ints([side, side]), pads: ints([pad, pad, pad, pad]) };
  };
  const weights = (
    name: string,
    dims: number[],
    seed: number,
    change = (v: number, _: number) => v,
  ) =>
    floatTensor(
      name,
      dims,
      numbers(
        dims.reduce((a, b) => a * b, 1),
        seed,
      ).map(change),
    );
  const factor = way === "filters are tiny" ? 1e-30 : 0;
  const ofRow = (size: number) => (v: number, i: number) =>
    isDead(Math.floor(i / size)) ? v * factor : v;
  const first = way.startsWith("filters") ? ofRow(INPUTS) : undefined;
  const separate = way === "separate filters are zero" ? ofRow(9) : undefined;
  const area = lastSide * lastSide;
  const last = (v: number, i: number) =>
    way === "nobody reads it" && isDead(Math.floor(i / area) % CHANNELS) ? 0 : v;
  // Over a border the first kind's value is not what it is inside, unless it is zero.
  const bias = (v: number, i: number) => (way.startsWith("filters") && isDead(i) ? 0 : v);
  return {
    irVersion: 8,
    opset: 15,
    name: "dead",
    nodes: [
      node("Conv", ["image", "first", "first_bias"], "a", around(1)),
      node("PRelu", ["a", "slopes"], "b"),
      node("Conv", ["b", "separate", "separate_bias"], "c", {
        ...around(3),
        group: { kind: "int", value: CHANNELS },
      }),
      node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], "d", {
        epsilon: float(1e-3),
      }),
      node("Relu", ["d"], "e"),
      node("Conv", ["e", "last"], "result", { kernel_shape: ints([lastSide, lastSide]) }),
    ],
    initialisers: [
      weights("first", [CHANNELS, INPUTS, 1, 1], 1, first),
      weights("first_bias", [CHANNELS], 2, bias),
      weights("slopes", [CHANNELS, 1, 1], 3),
      weights("separate", [CHANNELS, 1, 3, 3], 4, separate),
      weights("separate_bias", [CHANNELS], 5),
      weights("scale", [CHANNELS], 6),
      weights("shift", [CHANNELS], 7),
      weights("mean", [CHANNELS], 8),
      weights("variance", [CHANNELS], 9, (v) => v * v + 0.1),
      weights("last", [OUTPUTS, CHANNELS, lastSide, lastSide], 10, last),
    ],
    inputs: [{ name: "image", type: ELEMENT.float32, dims: [1, INPUTS, SIDE, SIDE] }],
    outputs: [{ name: "result", type: ELEMENT.float32, dims: ["a", "b", "c", "d"] }],
  };
}

type Outputs = Record<string, Float32Array>;

async function outputsOf(model: Model, input: Tensor): Promise<Outputs> {
  const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 });
  const outputs = await session.run({ image: input });
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => {
      assert.instance(data, Float32Array);
      return [name, data as Float32Array]; // asserted above
    }),
  );
}

function same(got: Outputs, wanted: Outputs, tolerance: number): void {
  assert.equal(Object.keys(got), Object.keys(wanted));
  for (const [name, values] of Object.entries(wanted)) {
    assert.is(got[name]?.length, values.length, name);
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    values.forEach((value, i) => {
      const off = Math.abs(value - (got[name]?.[i] ?? Number.NaN)) / scale;
      assert.ok(off < tolerance, `${name} ${i}: ${got[name]?.[i]}, not ${value}`);
    });
  }
}

const image = new Tensor("float32", Float32Array.from(numbers(INPUTS * SIDE * SIDE, 11)), [
  1,
  INPUTS,
  SIDE,
  SIDE,
]);

for (const way of [
  "filters are zero",
  "filters are tiny",
  "nobody reads it",
  "separate filters are zero",
] as const) {
  for (const side of [1, 3] as const) {
    dead(`channels are cut when ${way}, before a ${side} × ${side} convolution`, async () => {
      const model = net(way, side);
      const wanted = await outputsOf(model, image);
      const { cut, of } = cutDeadChannels(model);
      assert.is(of, CHANNELS);
      // What is left fills blocks of 16, so some of the dead may stay.
      assert.is(cut, CHANNELS - 16 * Math.ceil((CHANNELS - DEAD) / 16));
      same(await outputsOf(model, image), wanted, 1e-6);
    });
  }
}

dead("a channel that is alive at a border alone, or is the net's output, stays", async () => {
  const bordered = net("filters are zero", 1);
  bordered.initialisers = bordered.initialisers.map((tensor) =>
    tensor.name === "first_bias"
      ? floatTensor("first_bias", [CHANNELS], numbers(CHANNELS, 2))
      : tensor,
  );
  const seen = net("filters are zero", 1);
  seen.outputs.push({ name: "c", type: ELEMENT.float32, dims: ["a", "b", "c", "d"] });
  for (const model of [bordered, seen]) {
    const wanted = await outputsOf(model, image);
    assert.is(cutDeadChannels(model).cut, 0);
    same(await outputsOf(model, image), wanted, 1e-6);
  }
});

dead("weights that are denormal, or make denormals, become zero, and no others", () => {
  const kept = [1, -0.5, 1e-18, 0];
  const gone = [1e-40, -1e-40, 1e-37, -1e-20];
  const model = {
    ...net("nobody reads it", 1),
    initialisers: [floatTensor("w", [8], [...kept, ...gone])],
  };
  assert.is(zeroDenormals(model), gone.length);
  const [tensor] = model.initialisers;
  assert.ok(tensor);
  assert.equal([...numbersOf(tensor)], [...Float32Array.from([...kept, 0, 0, 0, 0])]);
});

/** Runs both steps over every net of a pack; they may change nothing that comes out. */
async function unchanged(folder: string): Promise<void> {
  const files = readdirSync(folder).filter((file) => file.endsWith(".onnx"));
  assert.ok(files.length >= 2);
  for (const file of files) {
    const model = decodeModel(readFileSync(join(folder, file)));
    const [, height, width] = model.inputs[0]?.dims ?? [];
    const side = typeof height === "number" && height === width ? height : 128;
    const chip = new Tensor("uint8", goldenChip(side), [1, side, side, 3]);
    const wanted = await outputsOf(model, chip);
    const zeroed = zeroDenormals(model);
    const { cut, of } = cutDeadChannels(model);
    process.stdout.write(`\n${file}: ${zeroed} weights zeroed, ${cut} of ${of} channels cut\n`);
    same(await outputsOf(model, chip), wanted, 1e-4);
  }
}

dead("both steps leave what the nets of the default pack give as it is", async () => {
  await unchanged(DEFAULT_PACK);
});

dead("and those of the packs that are pulled", async () => {
  const published = sharedData("models");
  if (published === null) return;
  const folder = tempFolder("dead-channels");
  const { signal } = new AbortController();
  const options = { from: published, registry: noRegistry, signal, random: () => 0 };
  for (const name of ["opencv", "mobilefacenet"]) {
    await pullPack(folder.path, readManifest(name), options);
    await unchanged(join(folder.path, name));
  }
  folder.remove();
});

dead.run();
