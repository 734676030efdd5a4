import type { Face, RgbImage } from "./face.ts";
import { encodeJpeg, shrink } from "./image.ts";
import { crop } from "./resample.ts";

/** Around the face, in face widths: room enough for any later detector to find it again. */
const CROP_MARGIN = 0.6;
/** Longer side of a crop, px: the face in it is 145 px wide, as much as any embedder reads. */
const CROP_SIDE_MAX = 320;

/**
 * The face and what is around it, from which a later pack can detect and embed anew. A copy, and
 * small: a visit keeps some of them, and must not keep the frames they come from.
 */
export function cropFace(image: RgbImage, { box }: Pick<Face, "box">): RgbImage {
  const around = Math.max(box.width, box.height) * CROP_MARGIN;
  const region = crop(image, {
    x: box.x - around,
    y: box.y - around,
    width: box.width + 2 * around,
    height: box.height + 2 * around,
  });
  const scale = CROP_SIDE_MAX / Math.max(region.width, region.height);
  return scale < 1 ? shrink(region, scale) : region;
}

/** A crop as it is sealed into the log: JPEG. */
export async function encodeCrop(image: RgbImage): Promise<Buffer> {
  return await encodeJpeg(image, { quality: 95 });
}
