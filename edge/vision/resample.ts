import { invariant } from "../../shared/core/errors.ts";
import type { Box, RgbImage } from "./face.ts";

/** Where a picture is drawn inside a larger one, in whole pixels. */
export interface Placement {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Weights are fractions of 256, so a blend of two blends fits 24 bits. */
const ONE = 256;

/** A picture, its half, the half of that, and so on. */
export interface Pyramid {
  readonly picture: RgbImage;
  /** The smallest of them that is still at least this large. */
  atLeast(width: number, height: number): RgbImage;
  /** The smallest that is shrunk by no more than `scale`, and by how much that is. */
  shrunkBy(scale: number): { readonly image: RgbImage; readonly factor: number };
}

/**
 * Each half is made when it is first asked for: several looks at one frame at several sizes, and
 * the chips of its faces, read the whole of it only once (1280 × 720 for three looks: 1.5 ms instead
 * of 5.9). Memory is taken from `kept` and left there for the next picture of the same size.
 */
export function createPyramid(picture: RgbImage, kept: Uint8Array[] = []): Pyramid {
  const levels = [picture];
  const smallest = (fits: (half: { width: number; height: number }) => boolean) => {
    for (let level = 0; ; level++) {
      const image = levels[level] ?? picture;
      const half = { width: image.width >> 1, height: image.height >> 1 };
      if (half.width === 0 || half.height === 0 || !fits(half)) return { image, level };
      levels[level + 1] ??= shrinkByBlocks(image, 2, kept[level]);
      kept[level] = levels[level + 1]?.data ?? new Uint8Array();
    }
  };
  return {
    picture,
    atLeast: (width, height) =>
      smallest((half) => half.width >= width && half.height >= height).image,
    shrunkBy(scale) {
      let factor = 1;
      const { image } = smallest(() => {
        if (factor * 2 > scale) return false;
        factor *= 2;
        return true;
      });
      return { image, factor };
    },
  };
}

/**
 * Draws `source` scaled into the place of `target`; pixels outside it are not touched.
 * Bilinear with pixel centres at halves; below half size whole blocks are averaged first, so no
 * source pixel is skipped.
 */
export function drawScaled(source: RgbImage, target: RgbImage, place: Placement): void {
  invariant(
    place.x >= 0 && place.y >= 0 && place.width > 0 && place.height > 0,
    "a picture is drawn inside the target",
  );
  invariant(
    place.x + place.width <= target.width && place.y + place.height <= target.height,
    "a picture is drawn inside the target",
  );
  const factor = Math.floor(Math.min(source.width / place.width, source.height / place.height));
  const shrunk = factor >= 2 ? shrinkByBlocks(source, factor) : source;
  if (shrunk.width === place.width && shrunk.height === place.height) {
    copyRows(shrunk, target, place);
  } else {
    drawBilinear(shrunk, target, place);
  }
}

/**
 * The mean of each block of `factor` × `factor` pixels; what does not fill a block is left out.
 * Written `into` what is given, where that has the right size.
 */
export function shrinkByBlocks(source: RgbImage, factor: number, into?: Uint8Array): RgbImage {
  invariant(Number.isInteger(factor) && factor >= 1, "blocks are whole pixels");
  const width = Math.floor(source.width / factor);
  const height = Math.floor(source.height / factor);
  const bytes = width * height * 3;
  const data = into?.length === bytes ? into : new Uint8Array(bytes);
  const words = factor === 2 ? wordsOf(source) : null;
  if (words !== null) shrinkWordsByTwo(words, data, width, height);
  else if (factor === 2) shrinkByTwo(source, data, width, height);
  else shrinkByMany(source, data, { width, height, factor });
  return { data, width, height };
}

/** A copy of a part of the picture, clipped to it. */
export function crop(source: RgbImage, box: Box): RgbImage {
  const left = clamp(Math.floor(box.x), 0, source.width - 1);
  const top = clamp(Math.floor(box.y), 0, source.height - 1);
  const right = clamp(Math.ceil(box.x + box.width), left + 1, source.width);
  const bottom = clamp(Math.ceil(box.y + box.height), top + 1, source.height);
  const [width, height] = [right - left, bottom - top];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * source.width + left) * 3;
    data.set(source.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { data, width, height };
}

/**
 * The picture as 32-bit words, where each row begins and ends with a whole one. Signed: an unsigned
 * word would become a floating-point number on its way.
 */
function wordsOf({ data, width }: RgbImage): Int32Array | null {
  if (width % 4 !== 0 || data.byteOffset % 4 !== 0 || data.length % 4 !== 0) return null;
  return new Int32Array(data.buffer, data.byteOffset, data.length / 4);
}

const EVEN_BYTES = 0x00ff00ff;

/**
 * As shrinkByTwo, four pixels of two rows at a time: half the time on a frame, and the nets wait
 * for it. Three words hold RGBR GBRG BRGB (the first byte lowest, as on every machine we run on);
 * masked, each half of a word has room for the sum of both rows.
 */
function shrinkWordsByTwo(from: Int32Array, out: Uint8Array, width: number, height: number): void {
  const stride = (width * 3) / 2;
  const pairs = new Uint16Array(out.buffer, out.byteOffset, out.length >> 1);
  let o = 0;
  for (let y = 0; y < height; y++) {
    let i = 2 * y * stride;
    for (const end = i + stride; i < end; i += 3, o += 3) {
      const a = from[i] ?? 0;
      const b = from[i + 1] ?? 0;
      const c = from[i + 2] ?? 0;
      const j = i + stride;
      const d = from[j] ?? 0;
      const e = from[j + 1] ?? 0;
      const f = from[j + 2] ?? 0;
      const r0b0 = (a & EVEN_BYTES) + (d & EVEN_BYTES);
      const g0r1 = ((a >>> 8) & EVEN_BYTES) + ((d >>> 8) & EVEN_BYTES);
      const g1r2 = (b & EVEN_BYTES) + (e & EVEN_BYTES);
      const b1g2 = ((b >>> 8) & EVEN_BYTES) + ((e >>> 8) & EVEN_BYTES);
      const b2g3 = (c & EVEN_BYTES) + (f & EVEN_BYTES);
      const r3b3 = ((c >>> 8) & EVEN_BYTES) + ((f >>> 8) & EVEN_BYTES);
      const red = ((r0b0 & 0xffff) + (g0r1 >>> 16) + 2) >> 2;
      const green = ((g0r1 & 0xffff) + (g1r2 & 0xffff) + 2) >> 2;
      const blue = ((r0b0 >>> 16) + (b1g2 & 0xffff) + 2) >> 2;
      const nextRed = ((g1r2 >>> 16) + (r3b3 & 0xffff) + 2) >> 2;
      const nextGreen = ((b1g2 >>> 16) + (b2g3 >>> 16) + 2) >> 2;
      const nextBlue = ((b2g3 & 0xffff) + (r3b3 >>> 16) + 2) >> 2;
      pairs[o] = red | (green << 8);
      pairs[o + 1] = blue | (nextRed << 8);
      pairs[o + 2] = nextGreen | (nextBlue << 8);
    }
  }
}

function shrinkByTwo(source: RgbImage, out: Uint8Array, width: number, height: number): void {
  const from = source.data;
  const stride = source.width * 3;
  let o = 0;
  for (let y = 0; y < height; y++) {
    let top = 2 * y * stride;
    for (let x = 0; x < width; x++, top += 6, o += 3) {
      const low = top + stride;
      out[o] =
        ((from[top] ?? 0) + (from[top + 3] ?? 0) + (from[low] ?? 0) + (from[low + 3] ?? 0) + 2) >>
        2;
      out[o + 1] =
        ((from[top + 1] ?? 0) +
          (from[top + 4] ?? 0) +
          (from[low + 1] ?? 0) +
          (from[low + 4] ?? 0) +
          2) >>
        2;
      out[o + 2] =
        ((from[top + 2] ?? 0) +
          (from[top + 5] ?? 0) +
          (from[low + 2] ?? 0) +
          (from[low + 5] ?? 0) +
          2) >>
        2;
    }
  }
}

function shrinkByMany(
  source: RgbImage,
  out: Uint8Array,
  { width, height, factor }: { width: number; height: number; factor: number },
): void {
  const from = source.data;
  const stride = source.width * 3;
  const sums = new Uint32Array(width * 3);
  const scale = 1 / (factor * factor);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let row = 0; row < factor; row++) {
      let i = (y * factor + row) * stride;
      for (let x = 0; x < width * 3; x += 3) {
        let [red, green, blue] = [0, 0, 0];
        for (let column = 0; column < factor; column++, i += 3) {
          red += from[i] ?? 0;
          green += from[i + 1] ?? 0;
          blue += from[i + 2] ?? 0;
        }
        sums[x] = (sums[x] ?? 0) + red;
        sums[x + 1] = (sums[x + 1] ?? 0) + green;
        sums[x + 2] = (sums[x + 2] ?? 0) + blue;
      }
    }
    const o = y * width * 3;
    for (let x = 0; x < width * 3; x++) out[o + x] = (sums[x] ?? 0) * scale + 0.5;
  }
}

function copyRows(source: RgbImage, target: RgbImage, place: Placement): void {
  const bytes = source.width * 3;
  for (let y = 0; y < source.height; y++) {
    const row = source.data.subarray(y * bytes, (y + 1) * bytes);
    target.data.set(row, ((place.y + y) * target.width + place.x) * 3);
  }
}

/** Rows are scaled in width once each and blended in pairs. */
function drawBilinear(source: RgbImage, target: RgbImage, place: Placement): void {
  const columns = samplesOf(source.width, place.width);
  const rows = samplesOf(source.height, place.height);
  const length = place.width * 3;
  let upper = { index: -1, values: new Uint16Array(length) };
  let lower = { index: -1, values: new Uint16Array(length) };
  const out = target.data;
  for (let y = 0; y < place.height; y++) {
    const first = rows.first[y] ?? 0;
    const second = rows.second[y] ?? 0;
    if (lower.index === first) [upper, lower] = [lower, upper];
    if (upper.index !== first) upper.index = scaleRow(source, first, columns, upper.values);
    if (lower.index !== second) lower.index = scaleRow(source, second, columns, lower.values);
    const weight = rows.weight[y] ?? 0;
    const [a, b] = [upper.values, lower.values];
    const rest = ONE - weight;
    let o = ((place.y + y) * target.width + place.x) * 3;
    for (let i = 0; i < length; i++, o++) {
      out[o] = ((a[i] ?? 0) * rest + (b[i] ?? 0) * weight + 32_768) >> 16;
    }
  }
}

interface Samples {
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** Weight of the second, in 1/256. */
  readonly weight: Int32Array;
}

function samplesOf(from: number, to: number): Samples {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const weight = new Int32Array(to);
  const scale = from / to;
  for (let i = 0; i < to; i++) {
    const at = clamp((i + 0.5) * scale - 0.5, 0, from - 1);
    first[i] = Math.floor(at);
    second[i] = Math.min(Math.floor(at) + 1, from - 1);
    weight[i] = Math.round((at - Math.floor(at)) * ONE);
  }
  return { first, second, weight };
}

/** One source row at the target's width, times 256. Returns the row's index. */
function scaleRow(source: RgbImage, row: number, columns: Samples, out: Uint16Array): number {
  const from = source.data;
  const start = row * source.width * 3;
  const { first, second, weight } = columns;
  for (let x = 0, o = 0; x < first.length; x++, o += 3) {
    const a = start + (first[x] ?? 0) * 3;
    const b = start + (second[x] ?? 0) * 3;
    const right = weight[x] ?? 0;
    const left = ONE - right;
    out[o] = (from[a] ?? 0) * left + (from[b] ?? 0) * right;
    out[o + 1] = (from[a + 1] ?? 0) * left + (from[b + 1] ?? 0) * right;
    out[o + 2] = (from[a + 2] ?? 0) * left + (from[b + 2] ?? 0) * right;
  }
  return row;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
