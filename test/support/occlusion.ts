/** Draws things on a face: what hides a part of it. */
import type { RgbImage } from "../../edge/vision/face.ts";

export const COVERINGS = ["mask", "sunglasses", "hat", "left half", "right half"] as const;
export type Covering = (typeof COVERINGS)[number];

type Colour = readonly [number, number, number];
const COLOURS: Readonly<Record<Covering, Colour>> = {
  mask: [150, 190, 220],
  sunglasses: [15, 15, 18],
  hat: [30, 30, 60],
  "left half": [120, 120, 120],
  "right half": [120, 120, 120],
};

/** Whether it lies there: `a` to the right and `b` down from between the eyes, in their distance. */
const SHAPES: Readonly<Record<Covering, (a: number, b: number) => boolean>> = {
  mask: (a, b) => b > 0.5 && b < 1.75 && Math.abs(a) < 1.05 - 0.35 * Math.max(0, b - 1),
  sunglasses: (a, b) =>
    Math.hypot((a + 0.5) / 0.46, b / 0.34) < 1 ||
    Math.hypot((a - 0.5) / 0.46, b / 0.34) < 1 ||
    (Math.abs(a) < 1.05 && Math.abs(b + 0.08) < 0.07),
  hat: (a, b) => b < -0.5 && b > -1.9 && Math.abs(a) < 1.35,
  "left half": (a, b) => a < 0 && a > -1.6 && b > -1.5 && b < 2.2,
  "right half": (a, b) => a > 0 && a < 1.6 && b > -1.5 && b < 2.2,
};

/** A copy with something drawn on the face whose five points these are. */
export function cover(image: RgbImage, points: Float32Array, covering: Covering): RgbImage {
  const [leftX = 0, leftY = 0, rightX = 0, rightY = 0] = points;
  const eyes = Math.hypot(rightX - leftX, rightY - leftY);
  const [alongX, alongY] = [(rightX - leftX) / eyes, (rightY - leftY) / eyes];
  const [middleX, middleY] = [(leftX + rightX) / 2, (leftY + rightY) / 2];
  const data = Uint8Array.from(image.data);
  for (let y = 0, i = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++, i += 3) {
      const [dx, dy] = [x - middleX, y - middleY];
      const a = (dx * alongX + dy * alongY) / eyes;
      const b = (-dx * alongY + dy * alongX) / eyes;
      if (SHAPES[covering](a, b)) data.set(COLOURS[covering], i);
    }
  }
  return { ...image, data };
}

/** A copy with so many times as much light, as far as a byte goes. */
export function overexpose(image: RgbImage, factor: number): RgbImage {
  return { ...image, data: Uint8Array.from(image.data, (value) => Math.min(255, value * factor)) };
}
