import { invariant } from "../../shared/core/errors.ts";
import { warpChip } from "./align.ts";
import type { Box, RgbImage } from "./face.ts";
import type { Pyramid } from "./resample.ts";
import type { Session } from "./session.ts";

const SIDE = 112;
const VALUES = 136;

/** The 68 landmarks of each box, (x, y) in pixels of the picture, in one run of the net. */
export async function findLandmarks(
  session: Session,
  pyramid: Pyramid,
  boxes: readonly Box[],
): Promise<Float32Array[]> {
  if (boxes.length === 0) return [];
  const pixels = new Uint8Array(boxes.length * SIDE * SIDE * 3);
  const squares = boxes.map((box) => squareOf(clip(box, pyramid.picture)));
  squares.forEach(({ x, y, side }, i) => {
    const scale = side / SIDE;
    // Pixel centres: chip pixel 0 shows the middle of the first of its picture pixels.
    const shift = scale / 2 - 0.5;
    const chip = warpChip(pyramid, { a: scale, b: 0, tx: x + shift, ty: y + shift }, SIDE);
    pixels.set(chip, i * chip.length);
  });
  const { points } = await session.run(pixels, [boxes.length, SIDE, SIDE, 3]);
  invariant(points && points.data.length === boxes.length * VALUES, "68 points a face");
  return squares.map(({ x, y, side }, i) =>
    points.data
      .slice(i * VALUES, (i + 1) * VALUES)
      .map((value, j) => value * side + (j % 2 === 0 ? x : y)),
  );
}

/** The part of a box inside the picture, at least one pixel. */
function clip(box: Box, { width, height }: RgbImage): Box {
  const left = Math.min(Math.max(box.x, 0), width - 1);
  const top = Math.min(Math.max(box.y, 0), height - 1);
  const right = Math.max(Math.min(box.x + box.width, width), left + 1);
  const bottom = Math.max(Math.min(box.y + box.height, height), top + 1);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * The square around the middle of a box. The net was trained on crops padded with black to a
 * square; showing it the picture's own pixels there instead is level in accuracy.
 */
function squareOf({ x, y, width, height }: Box): { x: number; y: number; side: number } {
  const side = Math.max(width, height);
  return { x: x + (width - side) / 2, y: y + (height - side) / 2, side };
}
