import * as assert from "uvu/assert";
import { createDetector } from "../../../edge/vision/detect.ts";
import type { Detection } from "../../../edge/vision/detection.ts";
import { blank } from "../../../edge/vision/image.ts";
import { createPyramid } from "../../../edge/vision/resample.ts";
import type { Outputs, Session } from "../../../edge/vision/session.ts";
import { templateOf } from "../../../edge/vision/templates.ts";
import { suite } from "../../support/suite.ts";

const look = suite("points of a face, seen more than once");
const SIDE = 320;
const PICTURE = blank(SIDE, SIDE, [128, 128, 128]);
const CHIP = templateOf("arcface-112").target;

/** What YuNet would give out for these faces on a canvas of this side, each in a cell of 32 px. */
function outputsFor(side: number, faces: readonly Detection[]): Outputs {
  const outputs: Record<string, { data: Float32Array; dims: number[] }> = {};
  for (const stride of [8, 16, 32]) {
    const cells = (side / stride) ** 2;
    for (const [name, width] of [
      ["cls", 1],
      ["obj", 1],
      ["bbox", 4],
      ["kps", 10],
    ] as const) {
      outputs[`${name}_${stride}`] = {
        data: new Float32Array(cells * width),
        dims: [1, cells, width],
      };
    }
  }
  for (const [cell, { box, score, points }] of faces.entries()) {
    const [column, row] = [cell % (side / 32), Math.floor(cell / (side / 32))];
    const centre = [box.x + box.width / 2, box.y + box.height / 2] as const;
    const at = [centre[0] / 32 - column, centre[1] / 32 - row];
    outputs["cls_32"]?.data.set([score], cell);
    outputs["obj_32"]?.data.set([score], cell);
    const size = [Math.log(box.width / 32), Math.log(box.height / 32)];
    outputs["bbox_32"]?.data.set([...at, ...size], cell * 4);
    const cells = (points ?? []).map((value, i) => value / 32 - (i % 2 === 0 ? column : row));
    outputs["kps_32"]?.data.set(cells, cell * 10);
  }
  return outputs;
}

/** A face whose points lie as in a chip, `scale` times as large and moved. */
function faceAt(scale: number, x: number, y: number, score = 0.9): Detection {
  const points = Float32Array.from(CHIP, (value, i) => value * scale + (i % 2 === 0 ? x : y));
  const box = { x: x + 10 * scale, y: y + 10 * scale, width: 90 * scale, height: 100 * scale };
  return { box, score, points };
}

/** Detects with a net that sees the first faces in the picture, the second when it looks again. */
async function detect(
  first: readonly Detection[],
  second: readonly Detection[] | null,
): Promise<{ found: Detection[]; runs: (readonly number[])[] }> {
  const runs: (readonly number[])[] = [];
  const session: Session = {
    async run(_, dims) {
      runs.push(dims);
      return outputsFor(SIDE, runs.length === 1 ? first : (second ?? []));
    },
    close: async () => undefined,
  };
  const found = await createDetector(session, {
    architecture: "yunet",
    passes: [{ sidePx: SIDE, canvas: 1 }],
    scoreMin: 0.7,
    iouMax: 0.3,
    // A chip of 112 px becomes 224 on the canvas of 320.
    ...(second && { secondLook: { sidePx: SIDE, canvas: SIDE / 224 } }),
  })(createPyramid(PICTURE));
  return { found, runs };
}

function assertPoints(found: Detection | undefined, expected: ArrayLike<number>): void {
  assert.ok(found?.points);
  found?.points?.forEach((value, i) => {
    const wanted = expected[i] ?? Number.NaN;
    assert.ok(Math.abs(value - wanted) < 0.01, `point ${i}: ${value}, not ${wanted}`);
  });
}

const FIRST = faceAt(1, 90, 70);
/** Where a net sees the same face on the canvas: twice as large, in its middle; pixel centres. */
const AGAIN = faceAt(2, SIDE / 2 - 2 * 56 - 0.5, SIDE / 2 - 2 * 68 - 0.5);

look("a second look that sees the same changes nothing", async () => {
  const { found, runs } = await detect([FIRST], [AGAIN]);
  assert.equal(runs, [
    [1, SIDE, SIDE, 3],
    [1, SIDE, SIDE, 3],
  ]);
  assertPoints(found[0], FIRST.points ?? []);
});

look("what the second look sees beside the first counts half", async () => {
  const moved = AGAIN.points?.map((value, i) => value + (i % 2 === 0 ? 8 : -4));
  assert.ok(moved);
  const { found } = await detect([FIRST], [{ ...AGAIN, points: moved ?? new Float32Array() }]);
  const half = FIRST.points?.map((value, i) => value + (i % 2 === 0 ? 2 : -1));
  assertPoints(found[0], half ?? []);
  assert.is(found[0]?.score.toFixed(4), "0.9000", "box and score are the first look's");
});

look("a tilted face is looked at upright, and its points come back tilted", async () => {
  const [cos, sin] = [Math.cos(0.5), Math.sin(0.5)];
  const tilted = FIRST.points?.map((value, i, all) => {
    const other = all[i ^ 1] ?? 0;
    return i % 2 === 0
      ? cos * (value - 150) - sin * (other - 140) + 150
      : sin * (other - 150) + cos * (value - 140) + 140;
  });
  assert.ok(tilted);
  const { found } = await detect([{ ...FIRST, points: tilted ?? new Float32Array() }], [AGAIN]);
  // The half-pixel between edges and centres turns with the face.
  const off = Math.max(
    ...(found[0]?.points ?? []).map((value, i) => Math.abs(value - (tilted?.[i] ?? 0))),
  );
  assert.ok(off < 0.25, `${off} px off`);
});

look("a second look that finds no face, or only another, leaves the first as it was", async () => {
  for (const second of [[], [faceAt(2, 120, 24)]]) {
    const { found, runs } = await detect([FIRST], second);
    assert.is(runs.length, 2);
    assertPoints(found[0], FIRST.points ?? []);
  }
});

look("each face is looked at again, and without a second look none is", async () => {
  const other = faceAt(0.5, 10, 10, 0.8);
  assert.is((await detect([FIRST, other], [AGAIN])).runs.length, 3);
  assert.is((await detect([FIRST, other], null)).runs.length, 1);
});

look("cells that saw the same face agree on its points by their scores", async () => {
  const beside = faceAt(1, 96, 70, 0.75);
  const elsewhere = faceAt(1, 200, 200, 0.8);
  const { found } = await detect([FIRST, beside, elsewhere], null);
  assert.is(found.length, 2);
  const shift = (6 * 0.75) / (0.9 + 0.75);
  assertPoints(found[0], FIRST.points?.map((v, i) => v + (i % 2 === 0 ? shift : 0)) ?? []);
  assertPoints(found[1], elsewhere.points ?? []);
});

look.run();
