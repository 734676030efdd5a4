import { InferenceSession, Tensor } from "onnxruntime-node";
import * as assert from "uvu/assert";
import { expandPrelu } from "../../../../edge/vision/convert/prelu.ts";
import { encodeModel } from "../../../../edge/vision/onnx/encode.ts";
import {
  ELEMENT,
  floatTensor,
  ints,
  type Model,
  type Node,
} from "../../../../edge/vision/onnx/model.ts";
import { suite } from "../../../support/suite.ts";

const prelu = suite("PRelu as the convolutions around it compute it");
const SIDE = 6;
/** Below 0, at 0 and 1, between and above: each is another case of the formula. */
const SLOPES = [-0.4, 0, 0.25, 0.9, 1, 1.2, 3, 0.5];
const CHANNELS = SLOPES.length;

/** Numbers from -1 to 1, the same every time. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233));
}

/** Convolution, PRelu, convolution; the second reads every channel, or each its own. */
function net(depthwise: boolean): Model {
  const depth = depthwise ? 1 : CHANNELS;
  const node = (op: string, inputs: string[], output: string, group?: number): Node => ({
    op,
    name: output,
    inputs,
    outputs: [output],
    attributes: {
      ...(group !== undefined && {
        group: { kind: "int", value: group },
        kernel_shape: ints([3, 3]),
        pads: ints([1, 1, 1, 1]),
      }),
    },
  });
  const value = (name: string) => ({
    name,
    type: ELEMENT.float32,
    dims: [1, CHANNELS, SIDE, SIDE],
  });
  return {
    irVersion: 8,
    opset: 15,
    name: "prelu",
    nodes: [
      node("Conv", ["image", "first"], "before", 1),
      node("PRelu", ["before", "slopes"], "after"),
      node("Conv", ["after", "second"], "result", depthwise ? CHANNELS : 1),
    ],
    initialisers: [
      floatTensor("first", [CHANNELS, CHANNELS, 3, 3], numbers(CHANNELS * CHANNELS * 9, 1)),
      floatTensor("slopes", [CHANNELS, 1, 1], SLOPES),
      floatTensor("second", [CHANNELS, depth, 3, 3], numbers(CHANNELS * depth * 9, 2)),
    ],
    inputs: [value("image")],
    outputs: [value("result")],
  };
}

async function resultOf(model: Model): Promise<readonly number[]> {
  const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 });
  const pixels = Float32Array.from(numbers(CHANNELS * SIDE * SIDE, 3));
  const image = new Tensor("float32", pixels, [1, CHANNELS, SIDE, SIDE]);
  const { result } = await session.run({ image });
  const { data } = result ?? {};
  assert.instance(data, Float32Array);
  await session.release();
  return [...(data as Float32Array)]; // asserted above
}

for (const depthwise of [false, true]) {
  const reader = depthwise ? "one filter a channel" : "all channels";
  prelu(`slopes of every kind give what PRelu gives, read by ${reader}`, async () => {
    const wanted = await resultOf(net(depthwise));
    const model = net(depthwise);
    expandPrelu(model);
    assert.not.ok(model.nodes.some(({ op }) => op === "PRelu"));
    const got = await resultOf(model);
    assert.is(got.length, wanted.length);
    got.forEach((value, i) => {
      assert.ok(Math.abs(value - (wanted[i] ?? 0)) < 1e-5, `${i}: ${value}, not ${wanted[i]}`);
    });
    assert.ok(Math.max(...wanted.map(Math.abs)) > 0.5, "there is something to compare");
  });
}

prelu.run();
