/** What a file is, by its first bytes: nothing else decides, and least of all its name. */

/** First bytes of what is decoded; anything else never reaches a decoder. */
const FORMATS: readonly { format: string; matches: (bytes: Uint8Array) => boolean }[] = [
  { format: "jpeg", matches: isJpeg },
  { format: "png", matches: (bytes) => startsWith(bytes, 0, [0x89, 0x50, 0x4e, 0x47]) },
  { format: "gif", matches: (bytes) => ascii(bytes, 0, 4) === "GIF8" },
  {
    format: "webp",
    matches: (bytes) => ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP",
  },
  { format: "tiff", matches: (bytes) => ["II*\0", "MM\0*"].includes(ascii(bytes, 0, 4)) },
  {
    format: "heif",
    matches: (bytes) =>
      ascii(bytes, 4, 8) === "ftyp" && ["avif", "avis"].includes(ascii(bytes, 8, 12)),
  },
];

/** ISO/IEC 23008-12, annex B: what an iPhone writes, whatever the file is called. */
const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];

export function isJpeg(bytes: Uint8Array): boolean {
  return startsWith(bytes, 0, [0xff, 0xd8, 0xff]);
}

export function isPicture(bytes: Uint8Array): boolean {
  return FORMATS.some(({ matches }) => matches(bytes));
}

/**
 * Whether it is a JPEG that is shrunk row by row: its frame header is SOF0 or SOF1 (ITU-T T.81,
 * B.2.2). A progressive one is held whole, all its coefficients.
 */
export function isSequentialJpeg(bytes: Uint8Array): boolean {
  if (!isJpeg(bytes)) return false;
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xc0 || marker === 0xc1) return true;
    // Any other frame header, or the scan: DHT (C4) alone is none of C0 to CF.
    if ((marker >= 0xc2 && marker <= 0xcf && marker !== 0xc4) || marker === 0xda) return false;
    at += marker === 0xff ? 1 : 2 + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
  }
  return false;
}

/** What phones, cameras and cut files are instead: named, since that is what helps. */
export function unreadFormat(bytes: Uint8Array): string {
  const none = "it is no JPEG, PNG, WebP, GIF, TIFF or AVIF";
  if (bytes.every((byte) => byte === 0)) return "it holds nothing but zeros";
  if (ascii(bytes, 4, 8) !== "ftyp") return none;
  if (HEIC_BRANDS.includes(ascii(bytes, 8, 12))) {
    return "it is HEIC, which is not read here: convert it, heif-convert photo.heic photo.jpg";
  }
  return `${none} but a video or another format (${ascii(bytes, 8, 12).replaceAll(/[^\w ]/g, "?")})`;
}

function startsWith(bytes: Uint8Array, offset: number, expected: readonly number[]): boolean {
  return expected.every((byte, i) => bytes[offset + i] === byte);
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}
