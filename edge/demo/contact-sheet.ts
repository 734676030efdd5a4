/** A contact sheet: one frame of each visit, with boxes, names and scores. */
import type { Box, RgbImage } from "../vision/face.ts";
import { blank, compose, encodePng, type Layer, resize } from "../vision/image.ts";

export interface SheetTile {
  readonly image: RgbImage;
  readonly box: Box;
  /** "Ada 0.9571 (+0.0673)". */
  readonly caption: string;
  readonly outcome: "known" | "unknown" | "ambiguous" | "unusable";
}

const TILE_WIDTH = 480;
const TILE_HEIGHT = 270;
const GAP = 8;
const COLUMNS = 3;
const TEXT_PX = 20;
const COLOURS = {
  known: "#35c46a",
  unknown: "#f0b429",
  ambiguous: "#4aa3f0",
  unusable: "#9aa0a6",
} as const;

export async function contactSheet(tiles: readonly SheetTile[]): Promise<Buffer> {
  const rows = Math.ceil(tiles.length / COLUMNS);
  const sheet = blank(
    COLUMNS * (TILE_WIDTH + GAP) + GAP,
    rows * (TILE_HEIGHT + GAP) + GAP,
    [24, 26, 28],
  );
  const layers = await Promise.all(
    tiles.map(async (tile, i): Promise<Layer> => {
      const x = GAP + (i % COLUMNS) * (TILE_WIDTH + GAP);
      const y = GAP + Math.floor(i / COLUMNS) * (TILE_HEIGHT + GAP);
      return { content: await drawTile(tile), x, y };
    }),
  );
  return await encodePng(await compose(sheet, layers));
}

async function drawTile({ image, box, caption, outcome }: SheetTile): Promise<RgbImage> {
  const small = await resize(image, TILE_WIDTH, TILE_HEIGHT);
  const [sx, sy] = [TILE_WIDTH / image.width, TILE_HEIGHT / image.height];
  const colour = COLOURS[outcome];
  const bar = TEXT_PX + 14;
  const frame = `<svg xmlns="http://www.w3.org/2000/svg" width="${TILE_WIDTH}" height="${TILE_HEIGHT}">
<rect x="${box.x * sx}" y="${box.y * sy}" width="${box.width * sx}" height="${box.height * sy}"
 fill="none" stroke="${colour}" stroke-width="3"/>
<rect y="${TILE_HEIGHT - bar}" width="${TILE_WIDTH}" height="${bar}" fill="#000" fill-opacity="0.65"/>
</svg>`;
  return await compose(small, [
    { content: { svg: frame }, x: 0, y: 0 },
    {
      content: { text: caption, sizePx: TEXT_PX, colour },
      x: 10,
      y: TILE_HEIGHT - bar + 6,
    },
  ]);
}
