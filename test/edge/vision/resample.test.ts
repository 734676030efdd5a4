import * as assert from "uvu/assert";
import { warpChip } from "../../../edge/vision/align.ts";
import type { RgbImage } from "../../../edge/vision/face.ts";
import { createPyramid, drawScaled, shrinkByBlocks } from "../../../edge/vision/resample.ts";
import { suite } from "../../support/suite.ts";

const resample = suite("resampling");

/** Every byte another, so that a swapped channel or column shows. */
function picture(width: number, height: number, offset = 0): RgbImage {
  const bytes = new Uint8Array(width * height * 3 + offset).subarray(offset);
  bytes.forEach((_, i) => {
    bytes[i] = (i * 7_919 + (i >> 5) * 131) % 256;
  });
  return { data: bytes, width, height };
}

/** The mean of four pixels, as anybody would write it. */
function halved({ data, width, height }: RgbImage): number[] {
  const out: number[] = [];
  const at = (x: number, y: number, channel: number) => data[(y * width + x) * 3 + channel] ?? 0;
  for (let y = 0; y + 1 < height; y += 2) {
    for (let x = 0; x + 1 < width; x += 2) {
      for (let channel = 0; channel < 3; channel++) {
        const sum =
          at(x, y, channel) +
          at(x + 1, y, channel) +
          at(x, y + 1, channel) +
          at(x + 1, y + 1, channel);
        out.push((sum + 2) >> 2);
      }
    }
  }
  return out;
}

resample("half a picture is the mean of each four pixels, whatever its width and place", () => {
  for (const [width, height] of [
    [2, 2],
    [4, 2],
    [8, 6],
    [12, 5],
    [13, 7],
    [640, 9],
  ] as const) {
    for (const offset of [0, 1, 4]) {
      const image = picture(width, height, offset);
      const { data, ...size } = shrinkByBlocks(image, 2);
      assert.equal(size, { width: width >> 1, height: height >> 1 });
      assert.equal([...data], halved(image), `${width} × ${height} at ${offset}`);
    }
  }
  const white = { data: new Uint8Array(48).fill(255), width: 4, height: 4 };
  assert.ok(shrinkByBlocks(white, 2).data.every((value) => value === 255));
});

resample("a pyramid gives the smallest level that is large enough, each made once", () => {
  const image = picture(64, 48);
  const pyramid = createPyramid(image);
  assert.is(pyramid.atLeast(640, 480), image, "nothing is enlarged here");
  assert.is(pyramid.atLeast(33, 24), image);
  const half = pyramid.atLeast(32, 24);
  assert.equal([half.width, half.height], [32, 24]);
  assert.is(pyramid.atLeast(17, 13), half);
  assert.equal([pyramid.atLeast(1, 1).width, pyramid.atLeast(1, 1).height], [2, 1]);
  assert.is(pyramid.atLeast(32, 24), half);
  assert.equal(pyramid.shrunkBy(1.99), { image, factor: 1 });
  assert.is(pyramid.shrunkBy(3.9).image, half);
  assert.is(pyramid.shrunkBy(8).factor, 8);
  assert.is(pyramid.shrunkBy(1000).factor, 32, "and no less than a pixel");
});

resample("a chip shows the picture where it says, however large the face is", () => {
  const [width, height] = [700, 500];
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    data.set([x / 3, y / 2, (x + y) / 5], i * 3);
  }
  const pyramid = createPyramid({ data, width, height });
  for (const scale of [0.7, 1.9, 2, 3.3, 4, 6.1]) {
    const [side, turn] = [60, 0.2];
    const [a, b] = [scale * Math.cos(turn), scale * Math.sin(turn)];
    const chip = warpChip(pyramid, { a, b, tx: 120, ty: 20 }, side);
    for (let i = 0; i < side * side; i++) {
      const [x, y] = [i % side, Math.floor(i / side)];
      const [atX, atY] = [a * x - b * y + 120, b * x + a * y + 20];
      for (const [channel, value] of [atX / 3, atY / 2, (atX + atY) / 5].entries()) {
        const off = Math.abs((chip[i * 3 + channel] ?? 0) - value);
        assert.ok(off < 1.6, `${scale}: (${x}, ${y}) is ${off} off`);
      }
    }
  }
});

resample("a picture is drawn in its place and nowhere else", () => {
  const white = { data: new Uint8Array(300).fill(255), width: 10, height: 10 };
  for (const [width, height] of [
    [4, 4],
    [20, 20],
    [5, 5],
  ] as const) {
    const target = {
      data: new Uint8Array(width * height * 12),
      width: width * 2,
      height: height * 2,
    };
    drawScaled(white, target, { x: 1, y: 2, width, height });
    for (let i = 0; i < target.data.length; i++) {
      const [x, y] = [Math.floor(i / 3) % target.width, Math.floor(i / 3 / target.width)];
      const inside = x >= 1 && x < 1 + width && y >= 2 && y < 2 + height;
      assert.is(target.data[i], inside ? 255 : 0);
    }
  }
});

resample.run();
