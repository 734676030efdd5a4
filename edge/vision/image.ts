import { fileURLToPath } from "node:url";
import sharp, { type OverlayOptions, type Sharp } from "sharp";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { isNearlyWhole } from "./cut-short.ts";
import type { RgbImage } from "./face.ts";
import { isPicture, isSequentialJpeg, unreadFormat } from "./format.ts";
import { drawScaled } from "./resample.ts";

export interface DecodeLimits {
  /** Takes a file that lacks its last bytes, and with them at most a few rows at the bottom. */
  readonly cutShort?: boolean;
  /** Longer side of the result, px: larger pictures are shrunk, JPEG while it is being decoded. */
  readonly maxSidePx?: number;
  /** Pixels the file may claim to hold. */
  readonly maxPixels?: number;
  readonly maxBytes?: number;
}

/** A face is judged at about 100 px, and is that large in a 1920 px frame at three metres. */
const MAX_SIDE_PX = 1920;
/** What is decoded whole: the largest common photos of 50 megapixels become 150 MB. */
const MAX_PIXELS = 50_000_000;
/** A JPEG is shrunk while it is decoded, 200 megapixels of a phone in 100 ms and 80 MB. */
const MAX_JPEG_PIXELS = 220_000_000;
/** Ten times a 12 megapixel phone photo. */
const MAX_BYTES = 40 * 1024 * 1024;
/** A picture that takes longer was made to. A 50 megapixel PNG takes 2 s on a Pi-class core. */
const DECODE_SECONDS_MAX = 20;

const FONT_FILE = fileURLToPath(import.meta.resolve("dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf"));

// libvips would keep decoded rows and open files around for the next use of the same file; frames
// never come twice. One thread a picture: the nets have the other cores.
sharp.cache(false);
sharp.concurrency(1);

/**
 * Decodes a JPEG, PNG, WebP, GIF, TIFF or AVIF of any depth and colour model to RGB, turned upright
 * by its EXIF orientation, on white where it is transparent; of an animation the first picture.
 * What is broken, too large or no picture is a PorchlightError `image.*` to be set aside.
 */
export async function decodeImage(
  bytes: Uint8Array,
  { maxSidePx = MAX_SIDE_PX, cutShort = false, ...limits }: DecodeLimits = {},
): Promise<RgbImage> {
  try {
    return await toRgbWithin(opened(bytes, limits), maxSidePx);
  } catch (error) {
    const refusal = error instanceof PorchlightError ? error : decodeError(error);
    if (!cutShort || refusal.code !== "image.broken") throw refusal;
    return await decodeCutShort(bytes, maxSidePx, limits, refusal);
  }
}

async function toRgbWithin(picture: Sharp, maxSidePx: number): Promise<RgbImage> {
  const { data, info } = await picture
    .resize({ width: maxSidePx, height: maxSidePx, fit: "inside", withoutEnlargement: true })
    .flatten({ background: "white" })
    .toColourspace("srgb")
    .removeAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return { data: asRgb(data, info.channels), width: info.width, height: info.height };
}

/** As every viewer shows it: what is missing is filled with the last row's colour, or one grey. */
async function decodeCutShort(
  bytes: Uint8Array,
  maxSidePx: number,
  limits: Limits,
  refusal: PorchlightError,
): Promise<RgbImage> {
  try {
    // In its own rows, not turned: the missing ones are the last of the file.
    const stored = await toRgbWithin(opened(bytes, limits, "none", false), maxSidePx);
    if (!isNearlyWhole(stored)) throw refusal;
    return await toRgbWithin(opened(bytes, limits, "none"), maxSidePx);
  } catch {
    // No decoder makes a picture of it: the first reason stands.
    throw refusal;
  }
}

export interface SizedJpeg {
  readonly jpeg: Buffer;
  readonly width: number;
  readonly height: number;
}

/**
 * The same picture as a JPEG so many px wide, or as wide as it is; without its metadata. What is no
 * usable picture is an error as above.
 */
export async function jpegOfWidth(
  bytes: Uint8Array,
  width: number,
  { quality = 80 }: EncodeOptions = {},
): Promise<SizedJpeg> {
  const picture = opened(bytes, {});
  try {
    const { data, info } = await picture
      .resize({ width, withoutEnlargement: true })
      .flatten({ background: "white" })
      .toColourspace("srgb")
      .jpeg({ quality })
      .toBuffer({ resolveWithObject: true });
    return { jpeg: data, width: info.width, height: info.height };
  } catch (error) {
    throw decodeError(error);
  }
}

type Limits = Pick<DecodeLimits, "maxPixels" | "maxBytes">;

/** A picture to be decoded, upright, within its limits. */
function opened(
  bytes: Uint8Array,
  { maxPixels, maxBytes = MAX_BYTES }: Limits,
  failOn: "error" | "none" = "error",
  upright = true,
): Sharp {
  if (bytes.byteLength === 0) throw refused("image.empty", "the file is empty");
  if (bytes.byteLength > maxBytes) {
    throw refused("image.too-large", `${bytes.byteLength} bytes are more than ${maxBytes}`);
  }
  if (!isPicture(bytes)) throw refused("image.format", unreadFormat(bytes));
  const picture = sharp(bytes, {
    limitInputPixels: maxPixels ?? (isSequentialJpeg(bytes) ? MAX_JPEG_PIXELS : MAX_PIXELS),
    failOn,
    pages: 1,
    sequentialRead: true,
  }).timeout({ seconds: DECODE_SECONDS_MAX });
  return upright ? picture.autoOrient() : picture;
}

export interface Turn {
  /** Left and right are exchanged first, then it is turned clockwise. */
  readonly mirrored: boolean;
  readonly rotationDegrees: 0 | 90 | 180 | 270;
}

/** Turns a picture; it is upright already by what it says of itself. */
export async function turn(
  image: RgbImage,
  { mirrored, rotationDegrees }: Turn,
): Promise<RgbImage> {
  // sharp turns before it mirrors, whichever is asked first.
  const mirror = mirrored ? await toRgb(raw(image).flop()) : image;
  return rotationDegrees === 0 ? mirror : await toRgb(raw(mirror).rotate(rotationDegrees));
}

export interface EncodeOptions {
  /** 1..100. 90 keeps a face's embedding within a cosine of 0.999 of the uncompressed one's. */
  readonly quality?: number;
}

export async function encodeJpeg(
  image: RgbImage,
  { quality = 90 }: EncodeOptions = {},
): Promise<Buffer> {
  return await raw(image).jpeg({ quality, chromaSubsampling: "4:4:4" }).toBuffer();
}

export async function encodePng(image: RgbImage): Promise<Buffer> {
  return await raw(image).png().toBuffer();
}

/** Scales by a factor below 1, at once. */
export function shrink(image: RgbImage, factor: number): RgbImage {
  const width = Math.max(1, Math.round(image.width * factor));
  const height = Math.max(1, Math.round(image.height * factor));
  const small = { data: new Uint8Array(width * height * 3), width, height };
  drawScaled(image, small, { x: 0, y: 0, width, height });
  return small;
}

/** Scales to exactly this size. */
export async function resize(image: RgbImage, width: number, height: number): Promise<RgbImage> {
  return await toRgb(raw(image).resize({ width, height, fit: "fill" }));
}

/** Blurs by a Gaussian of this standard deviation, px. */
export async function blur(image: RgbImage, sigmaPx: number): Promise<RgbImage> {
  return await toRgb(raw(image).blur(sigmaPx));
}

/** Multiplies the light. */
export async function brighten(image: RgbImage, factor: number): Promise<RgbImage> {
  return await toRgb(raw(image).linear(factor, 0));
}

/** Words in one size and colour (CSS), on nothing. */
export interface Words {
  readonly text: string;
  readonly sizePx: number;
  readonly colour: string;
}

export interface Layer {
  /** A picture, SVG of our own making (drawn by librsvg; it loads nothing from elsewhere), words. */
  readonly content: RgbImage | { readonly svg: string } | Words;
  readonly x: number;
  readonly y: number;
}

/** Draws layers over a picture, in their order. */
export async function compose(background: RgbImage, layers: readonly Layer[]): Promise<RgbImage> {
  const overlays: OverlayOptions[] = layers.map(({ content, x, y }) => ({
    left: Math.round(x),
    top: Math.round(y),
    ...inputOf(content),
  }));
  return await toRgb(raw(background).composite(overlays));
}

function inputOf(content: Layer["content"]): OverlayOptions {
  if ("svg" in content) return { input: Buffer.from(content.svg) };
  if ("data" in content) {
    return { input: Buffer.from(content.data), raw: { ...sizeOf(content), channels: 3 } };
  }
  const { text, sizePx, colour } = content;
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const markup = `<span foreground="${colour}">${escaped}</span>`;
  // A device has no fonts of its own: this one comes with the program. 72 dpi: points are pixels.
  const font = `DejaVu Sans Bold ${sizePx}`;
  return { input: { text: { text: markup, font, fontfile: FONT_FILE, rgba: true, dpi: 72 } } };
}

/** A picture of one colour. */
export function blank(
  width: number,
  height: number,
  [red, green, blue]: readonly [number, number, number] = [0, 0, 0],
): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i += 3) {
    data[i] = red;
    data[i + 1] = green;
    data[i + 2] = blue;
  }
  return { data, width, height };
}

function raw(image: RgbImage): Sharp {
  return sharp(image.data, { raw: { ...sizeOf(image), channels: 3 } });
}

function sizeOf({ width, height }: RgbImage): { width: number; height: number } {
  return { width, height };
}

async function toRgb(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data: asRgb(data, info.channels), width: info.width, height: info.height };
}

/** sharp gives one channel for some grey pictures whatever colour space is asked for. */
function asRgb(data: Buffer, channels: number): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (channels === 3) return bytes;
  const rgb = new Uint8Array((bytes.length / channels) * 3);
  for (let i = 0, o = 0; i < bytes.length; i += channels, o += 3) {
    const grey = bytes[i] ?? 0;
    rgb[o] = grey;
    rgb[o + 1] = grey;
    rgb[o + 2] = grey;
  }
  return rgb;
}

function decodeError(error: unknown): PorchlightError {
  const reason = messageOf(error);
  if (/pixel limit/i.test(reason)) {
    return refused("image.too-large", "it claims more pixels than are allowed", error);
  }
  if (/timeout/i.test(reason)) {
    return refused("image.too-slow", `decoding took over ${DECODE_SECONDS_MAX} s`, error);
  }
  return refused("image.broken", `it cannot be decoded: ${reason.trim()}`, error);
}

function refused(code: string, reason: string, cause?: unknown): PorchlightError {
  return new PorchlightError(code, `not a usable picture: ${reason}`, {
    remedy: "reject",
    ...(cause === undefined ? {} : { cause }),
  });
}
