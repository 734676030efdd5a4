import { invariant } from "../../shared/core/errors.ts";
import type { RgbImage } from "./face.ts";
import type { Pyramid } from "./resample.ts";

/** X = a x - b y + tx, Y = b x + a y + ty: scale, turn and shift, no mirror and no shear. */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly tx: number;
  readonly ty: number;
}

/**
 * The similarity that carries `from` nearest to `to` in the least squares sense, both (x, y) pairs.
 * Closed form for the plane: S. Umeyama, IEEE PAMI 13(4), 1991, without the reflection.
 */
export function fitSimilarity(from: ArrayLike<number>, to: ArrayLike<number>): Similarity {
  invariant(from.length === to.length && from.length >= 4, "at least two pairs of points");
  const [fromX, fromY] = centre(from);
  const [toX, toY] = centre(to);
  let dot = 0;
  let cross = 0;
  let spread = 0;
  for (let i = 0; i < from.length; i += 2) {
    const px = (from[i] ?? 0) - fromX;
    const py = (from[i + 1] ?? 0) - fromY;
    const qx = (to[i] ?? 0) - toX;
    const qy = (to[i + 1] ?? 0) - toY;
    dot += px * qx + py * qy;
    cross += px * qy - py * qx;
    spread += px * px + py * py;
  }
  // Points all in one place, or in no order at all: a detector's nonsense, which no scale fits.
  const fits = dot * dot + cross * cross > spread * 1e-9;
  const a = fits ? dot / spread : 1;
  const b = fits ? cross / spread : 0;
  return { a, b, tx: toX - (a * fromX - b * fromY), ty: toY - (b * fromX + a * fromY) };
}

export function invertSimilarity({ a, b, tx, ty }: Similarity): Similarity {
  const square = a * a + b * b;
  invariant(square > 0, "a similarity has a scale");
  const [ia, ib] = [a / square, -b / square];
  return { a: ia, b: ib, tx: -(ia * tx - ib * ty), ty: -(ib * tx + ia * ty) };
}

/** How many times longer a distance becomes. */
export function scaleOf({ a, b }: Similarity): number {
  return Math.hypot(a, b);
}

/**
 * Cuts a square chip out of the picture: chip pixel (x, y) shows the picture at `toImage(x, y)`,
 * bilinear, black outside. Where a chip pixel covers two or more of the picture's, it is cut from
 * the picture's half, or the half of that: a large face would otherwise alias.
 */
export function warpChip(pyramid: Pyramid, toImage: Similarity, side: number): Uint8Array {
  const { image, factor } = pyramid.shrunkBy(scaleOf(toImage));
  // Pixel centres lie at whole coordinates; the centre of block 0 is at (factor - 1) / 2.
  const offset = (factor - 1) / 2;
  const toLevel = {
    a: toImage.a / factor,
    b: toImage.b / factor,
    tx: (toImage.tx - offset) / factor,
    ty: (toImage.ty - offset) / factor,
  };
  return sample(image, toLevel, side);
}

/** Weights are fractions of 256, so a blend of four bytes fits 24 bits: whole numbers are faster. */
const ONE = 256;
const HALF = (ONE * ONE) / 2;
/** Places are stepped through in 1/65,536 px: 320 steps then end within 1/400 px of their goal. */
const FINE = 65_536;
/** Half of 1/256 px: what is cut off below it has then been rounded. */
const ROUND = 128;

function sample(image: RgbImage, { a, b, tx, ty }: Similarity, side: number): Uint8Array {
  const { data, width, height } = image;
  const out = new Uint8Array(side * side * 3);
  const stride = width * 3;
  const [stepX, stepY] = [Math.round(a * FINE), Math.round(b * FINE)];
  let o = 0;
  for (let y = 0; y < side; y++) {
    let atX = Math.round((tx - b * y) * FINE) + ROUND;
    let atY = Math.round((ty + a * y) * FINE) + ROUND;
    for (let x = 0; x < side; x++, o += 3, atX += stepX, atY += stepY) {
      const left = atX >> 16;
      const top = atY >> 16;
      const right = (atX >> 8) & 255;
      const down = (atY >> 8) & 255;
      if (left >= 0 && top >= 0 && left + 1 < width && top + 1 < height) {
        const i = Math.imul(top, stride) + Math.imul(left, 3);
        for (let c = 0; c < 3; c++) {
          const upperLeft = data[i + c] ?? 0;
          const lowerLeft = data[i + c + stride] ?? 0;
          const upper = upperLeft * ONE + ((data[i + c + 3] ?? 0) - upperLeft) * right;
          const lower = lowerLeft * ONE + ((data[i + c + stride + 3] ?? 0) - lowerLeft) * right;
          out[o + c] = (upper * ONE + (lower - upper) * down + HALF) >> 16;
        }
      } else if (left >= -1 && top >= -1 && left < width && top < height) {
        sampleEdge(image, { left, top, right: right / ONE, down: down / ONE }, out, o);
      }
    }
  }
  return out;
}

/** As above where one or more of the four neighbours lie outside and count as black. */
function sampleEdge(
  { data, width, height }: RgbImage,
  at: { left: number; top: number; right: number; down: number },
  out: Uint8Array,
  o: number,
): void {
  for (let channel = 0; channel < 3; channel++) {
    let sum = 0.5;
    for (let corner = 0; corner < 4; corner++) {
      const x = at.left + (corner & 1);
      const y = at.top + (corner >> 1);
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const weightX = (corner & 1) === 1 ? at.right : 1 - at.right;
      const weightY = corner >> 1 === 1 ? at.down : 1 - at.down;
      sum += (data[(y * width + x) * 3 + channel] ?? 0) * weightX * weightY;
    }
    out[o + channel] = sum;
  }
}

function centre(points: ArrayLike<number>): [x: number, y: number] {
  let [x, y] = [0, 0];
  for (let i = 0; i < points.length; i += 2) {
    x += points[i] ?? 0;
    y += points[i + 1] ?? 0;
  }
  const count = points.length / 2;
  return [x / count, y / count];
}
