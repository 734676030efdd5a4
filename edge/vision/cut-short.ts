/** A picture whose file ended early: what is missing at its bottom is filled with one colour. */
import type { RgbImage } from "./face.ts";

/** Rows that may be missing, of all: a face in the rest is judged as ever. */
const MISSING_ROWS_MAX = 0.1;

/** Whether at most a few rows of a picture, in the order of its file, are missing. */
export function isNearlyWhole(image: RgbImage): boolean {
  return fillRows(image) <= image.height * MISSING_ROWS_MAX;
}

/** How many rows at the bottom are of one colour throughout. */
function fillRows({ data, width, height }: RgbImage): number {
  const stride = width * 3;
  const last = data.subarray((height - 1) * stride, (height - 1) * stride + 3);
  let rows = 0;
  for (let row = height - 1; row >= 0; row--, rows++) {
    for (let i = row * stride; i < (row + 1) * stride; i++) {
      if (data[i] !== last[i % 3]) return rows;
    }
  }
  return rows;
}
