/** From a picture as the camera gave it to the one that may be seen: turned, and under its masks. */
import { isJpeg } from "./format.ts";
import { decodeImage, encodeJpeg, type Turn, turn } from "./image.ts";
import { blacken, type Polygon } from "./polygon.ts";

export interface Mounting extends Turn {
  readonly masks: readonly Polygon[];
}

/** Quality of a frame that is encoded again: it is to lose nothing that a face is known by. */
const QUALITY = 95;
/** The widest that a camera is asked for, px. */
const SIDE_MAX = 4096;

/** Null where there is nothing to do: the frame goes on as it came. */
export function mountOf({
  masks,
  mirrored,
  rotationDegrees,
}: Mounting): ((image: Buffer) => Promise<Buffer>) | null {
  const how = { mirrored, rotationDegrees };
  const turns = mirrored || rotationDegrees !== 0;
  if (!turns && masks.length === 0) return null;
  return async (image) => {
    const noted = turns ? withOrientation(image, how) : image;
    if (noted !== null && masks.length === 0) return noted;
    const picture = await decodeImage(noted ?? image, { maxSidePx: SIDE_MAX });
    const upright = noted === null ? await turn(picture, how) : picture;
    blacken(upright, masks);
    return await encodeJpeg(upright, { quality: QUALITY });
  };
}

/**
 * A JPEG of a stream is turned by a note to its decoder, which costs nothing: an APP1 segment with
 * one Exif tag, 0112 (orientation), after SOI. Null for what may have such a note already.
 *
 *     FF E1  length(2)  "Exif\0\0"  "MM\0*" 00000008  0001  0112 0003 00000001 00VV 0000  00000000
 */
function withOrientation(image: Buffer, { mirrored, rotationDegrees }: Turn): Buffer | null {
  if (!isJpeg(image) || hasExif(image)) return null;
  const segment = Buffer.alloc(36);
  segment.writeUInt16BE(0xffe1, 0);
  segment.writeUInt16BE(34, 2);
  segment.write("Exif\0\0MM\0*", 4, "latin1");
  segment.writeUInt32BE(8, 14);
  segment.writeUInt16BE(1, 18);
  segment.writeUInt16BE(0x0112, 20);
  segment.writeUInt16BE(3, 22);
  segment.writeUInt32BE(1, 24);
  segment.writeUInt16BE(ORIENTATION[mirrored ? "mirrored" : "plain"][rotationDegrees], 28);
  return Buffer.concat([image.subarray(0, 2), segment, image.subarray(2)]);
}

/** Exif 2.32, tag 0112: mirrored first, then turned clockwise. */
const ORIENTATION = {
  plain: { 0: 1, 90: 6, 180: 3, 270: 8 },
  mirrored: { 0: 2, 90: 7, 180: 4, 270: 5 },
} as const;

function hasExif(jpeg: Buffer): boolean {
  for (let at = 2; at + 10 <= jpeg.length && jpeg[at] === 0xff; ) {
    const marker = jpeg[at + 1] ?? 0;
    if (marker === 0xda) return false;
    if (marker === 0xe1 && jpeg.toString("latin1", at + 4, at + 8) === "Exif") return true;
    at += marker === 0xff ? 1 : 2 + jpeg.readUInt16BE(at + 2);
  }
  return false;
}
