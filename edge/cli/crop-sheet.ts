/** A contact sheet of the crops that were sealed with a person's templates. */
import { blank, compose, decodeImage, encodeJpeg, type Layer, resize } from "../vision/image.ts";

export interface SheetCrop {
  /** JPEG; null where none was kept. */
  readonly jpeg: Buffer | null;
  readonly caption: string;
}

const TILE_PX = 160;
const GAP_PX = 8;
const COLUMNS = 5;
const TEXT_PX = 16;

export async function cropSheet(crops: readonly SheetCrop[]): Promise<Buffer> {
  const rows = Math.max(1, Math.ceil(crops.length / COLUMNS));
  const width = COLUMNS * (TILE_PX + GAP_PX) + GAP_PX;
  const rowPx = TILE_PX + TEXT_PX + 2 * GAP_PX;
  const sheet = blank(width, rows * rowPx + GAP_PX, [24, 26, 28]);
  const layers: Layer[] = [];
  for (const [i, { jpeg, caption }] of crops.entries()) {
    const x = GAP_PX + (i % COLUMNS) * (TILE_PX + GAP_PX);
    const y = GAP_PX + Math.floor(i / COLUMNS) * rowPx;
    if (jpeg !== null) {
      const crop = await decodeImage(jpeg);
      const scale = TILE_PX / Math.max(crop.width, crop.height);
      const [across, down] = [crop.width, crop.height].map((px) => Math.round(px * scale));
      layers.push({ content: await resize(crop, across ?? TILE_PX, down ?? TILE_PX), x, y });
    }
    const words = { text: caption, sizePx: TEXT_PX, colour: "#f0f0f0" };
    layers.push({ content: words, x, y: y + TILE_PX + 2 });
  }
  return await encodeJpeg(await compose(sheet, layers));
}
