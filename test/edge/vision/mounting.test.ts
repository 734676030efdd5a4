import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import * as assert from "uvu/assert";
import type { RgbImage } from "../../../edge/vision/face.ts";
import { decodeImage, encodeJpeg, encodePng, jpegOfWidth } from "../../../edge/vision/image.ts";
import { type Mounting, mountOf } from "../../../edge/vision/mounting.ts";
import { openVision } from "../../../edge/vision/vision.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { BUNDLED_PHOTOS, DEFAULT_PACK, openDefaultVision } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";

const mounting = suite("how a camera hangs");
const COLOURS = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255], white: [255, 255, 255] };
type Corner = keyof typeof COLOURS;

/** 64 × 48, a colour in each quarter: red green over blue white. */
function quarters(): RgbImage {
  const [width, height] = [64, 48];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const name = (["red", "green", "blue", "white"] as const)[
        (y < 24 ? 0 : 2) + (x < 32 ? 0 : 1)
      ];
      data.set(COLOURS[name ?? "red"], (y * width + x) * 3);
    }
  }
  return { data, width, height };
}

function colourAt({ data, width, height }: RgbImage, x: number, y: number): readonly number[] {
  const at = (Math.floor(y * height) * width + Math.floor(x * width)) * 3;
  return [...data.subarray(at, at + 3)];
}

/** The corners from the upper left, row by row. */
function cornersOf(image: RgbImage): Corner[] {
  return [
    [0.2, 0.2],
    [0.8, 0.2],
    [0.2, 0.8],
    [0.8, 0.8],
  ].map(([x = 0, y = 0]) => {
    const seen = colourAt(image, x, y);
    const far = (name: Corner): number =>
      Math.max(...COLOURS[name].map((value, i) => Math.abs(value - (seen[i] ?? 0))));
    return (Object.keys(COLOURS) as Corner[]).sort((a, b) => far(a) - far(b))[0] ?? "red";
  });
}

function how(given: Partial<Mounting>): (image: Buffer) => Promise<Buffer> {
  const mount = mountOf({ rotationDegrees: 0, mirrored: false, masks: [], ...given });
  assert.ok(mount);
  return mount;
}

const TURNED = [
  [{ rotationDegrees: 90 }, ["blue", "red", "white", "green"]],
  [{ rotationDegrees: 180 }, ["white", "blue", "green", "red"]],
  [{ rotationDegrees: 270 }, ["green", "white", "red", "blue"]],
  [{ mirrored: true }, ["green", "red", "white", "blue"]],
  [{ mirrored: true, rotationDegrees: 90 }, ["white", "green", "blue", "red"]],
  [{ mirrored: true, rotationDegrees: 180 }, ["blue", "white", "red", "green"]],
  [{ mirrored: true, rotationDegrees: 270 }, ["red", "blue", "green", "white"]],
] as const;

mounting("a camera that hangs upright and has no mask costs nothing", () => {
  assert.is(mountOf({ rotationDegrees: 0, mirrored: false, masks: [] }), null);
});

for (const [given, expected] of TURNED) {
  mounting(`${JSON.stringify(given)} holds for every kind of picture`, async () => {
    const plain = await encodeJpeg(quarters(), { quality: 100 });
    const upsideDown = await sharp(await sharp(plain).rotate(180).toBuffer())
      .withMetadata({ orientation: 3 })
      .jpeg({ quality: 100 })
      .toBuffer();
    for (const picture of [plain, upsideDown, await encodePng(quarters())]) {
      const image = await how(given)(picture);
      assert.equal(cornersOf(await decodeImage(image)), expected);
      const snapshot = await jpegOfWidth(image, 64);
      assert.equal(cornersOf(await decodeImage(snapshot.jpeg)), expected, "a snapshot of it too");
      const masked = await how({
        ...given,
        masks: [
          [
            [0, 0],
            [0.5, 0],
            [0.5, 0.5],
            [0, 0.5],
          ],
        ],
      })(picture);
      const seen = await decodeImage(masked);
      assert.ok(
        Math.max(...colourAt(seen, 0.2, 0.2)) < 12,
        "black in the upright picture's corner",
      );
      assert.equal(cornersOf(seen).slice(1), expected.slice(1));
    }
  });
}

mounting("under a mask of any shape nothing is left, and beside it everything", async () => {
  const white = { data: new Uint8Array(160 * 120 * 3).fill(255), width: 160, height: 120 };
  const masks = [
    [
      [0.1, 0.1],
      [0.4, 0.1],
      [0.25, 0.5],
    ],
    [
      [0.5, 0.5],
      [0.9, 0.5],
      [0.9, 0.9],
      [0.7, 0.6],
      [0.5, 0.9],
    ],
    [
      [0, 0.95],
      [1, 0.95],
      [1, 1],
      [0, 1],
    ],
  ] as const;
  const seen = await decodeImage(await how({ masks })(await encodeJpeg(white)));
  for (const [x, y] of [
    [0.25, 0.2],
    [0.25, 0.4],
    [0.55, 0.6],
    [0.85, 0.6],
    [0.5, 0.98],
    [0.999, 0.999],
  ] as const) {
    assert.ok(Math.max(...colourAt(seen, x, y)) < 12, `black at ${x}, ${y}`);
  }
  for (const [x, y] of [
    [0.05, 0.05],
    [0.12, 0.4],
    [0.7, 0.8],
    [0.45, 0.7],
  ] as const) {
    assert.ok(Math.min(...colourAt(seen, x, y)) > 240, `white at ${x}, ${y}`);
  }
});

mounting("a sideways camera sees faces again, and an ignored zone has none", async () => {
  const photo = readFileSync(join(BUNDLED_PHOTOS, "sample1.jpg"));
  const vision = await openDefaultVision();
  const upright = await vision.detect(await decodeImage(photo));
  const sideways = await sharp(photo).rotate(270).jpeg({ quality: 95 }).toBuffer();
  const turned = await decodeImage(await how({ rotationDegrees: 90 })(sideways));
  const faces = await vision.detect(turned);
  await vision.close();
  assert.is(faces.length, upright.length);
  const left = upright.filter(({ box }) => (box.x + box.width / 2) / turned.width < 0.5);
  assert.ok(left.length > 0 && left.length < upright.length, `${left.length} of ${upright.length}`);
  const ignore = [
    [
      [0, 0],
      [0.5, 0],
      [0.5, 1],
      [0, 1],
    ],
  ] as const;
  const options = { packFolder: DEFAULT_PACK, threads: 1, ignore, logger: silentLogger };
  const ignoring = await openVision(options);
  const kept = await ignoring.analyse(turned);
  await ignoring.close();
  assert.is(kept.faces.length, upright.length - left.length);
});

mounting.run();
