/** Parts of a picture: corners in parts of its width and height, 0,0 being its upper left. */
import type { Box, RgbImage } from "./face.ts";

export type Polygon = readonly (readonly [number, number])[];

/** Whether a point lies inside: a ray to its left crosses the outline an odd number of times. */
function contains(polygon: Polygon, x: number, y: number): boolean {
  return crossings(polygon, y).filter((at) => at <= x).length % 2 === 1;
}

/** Where the horizontal line at `y` crosses the outline, from left to right. */
function crossings(polygon: Polygon, y: number): number[] {
  const found: number[] = [];
  for (const [i, [x1, y1]] of polygon.entries()) {
    const [x2, y2] = polygon[(i + 1) % polygon.length] ?? [x1, y1];
    if (y1 > y !== y2 > y) found.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
  }
  return found.sort((a, b) => a - b);
}

/** Those whose middle lies in none of the polygons. */
export function outside<T extends { readonly box: Box }>(
  all: T[],
  polygons: readonly Polygon[],
  { width, height }: Pick<RgbImage, "width" | "height">,
): T[] {
  if (polygons.length === 0) return all;
  return all.filter(({ box }) => {
    const [x, y] = [(box.x + box.width / 2) / width, (box.y + box.height / 2) / height];
    return !polygons.some((polygon) => contains(polygon, x, y));
  });
}

/** Makes every pixel black that a polygon touches: in place, so that nothing else is ever seen. */
export function blacken(image: RgbImage, polygons: readonly Polygon[]): void {
  const { data, width, height } = image;
  // Between two rows of pixels, so that a thin polygon is not missed.
  const linesAPixel = 4;
  for (const polygon of polygons) {
    for (let line = 0; line < height * linesAPixel; line++) {
      const row = Math.floor(line / linesAPixel);
      const edges = crossings(polygon, (line + 0.5) / (height * linesAPixel));
      for (let i = 0; i + 1 < edges.length; i += 2) {
        const from = Math.max(0, Math.floor((edges[i] ?? 0) * width));
        const to = Math.min(width, Math.ceil((edges[i + 1] ?? 0) * width));
        if (to > from) data.fill(0, (row * width + from) * 3, (row * width + to) * 3);
      }
    }
  }
}
