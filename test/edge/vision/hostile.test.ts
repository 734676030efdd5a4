import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import * as assert from "uvu/assert";
import { largestFirst, type RgbImage } from "../../../edge/vision/face.ts";
import { blank, decodeImage } from "../../../edge/vision/image.ts";
import type { Vision } from "../../../edge/vision/vision.ts";
import { cosine } from "../../../shared/log/embedding.ts";
import { BUNDLED_PHOTOS, openDefaultVision } from "../../support/people.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const hostile = suite("pictures of every kind");
const GROUP = readFileSync(join(BUNDLED_PHOTOS, "sample1.jpg"));
let vision: Vision;
let reference: Float32Array;
let group: RgbImage;

hostile.before(async () => {
  vision = await openDefaultVision();
  group = await decodeImage(GROUP);
  const [face] = largestFirst((await vision.analyse(group)).faces);
  assert.ok(face);
  reference = face.embedding;
});
hostile.after(() => vision.close());

/** Decodes and looks; how like the largest face of the group photo the best face in it is. */
async function likeness(bytes: Uint8Array): Promise<number> {
  const { faces } = await vision.analyse(await decodeImage(bytes));
  return Math.max(-1, ...faces.map(({ embedding }) => cosine(embedding, reference)));
}

const photo = (): Sharp => sharp(GROUP);

hostile("every size down to one pixel is looked at", async () => {
  const sides = [1, 2, 3, 7, 31, 33, 160, 641];
  for (const width of sides) {
    for (const height of [1, 2, 33, 900]) {
      const noise = { type: "gaussian", mean: 128, sigma: 40 } as const;
      const create = { width, height, channels: 3, background: "grey", noise } as const;
      const image = await decodeImage(await sharp({ create }).png().toBuffer());
      assert.equal([image.width, image.height], [width, height]);
      assert.equal((await vision.analyse(image)).faces, [], `${width} × ${height}`);
    }
  }
  const thread = await decodeImage(
    await sharp({ create: { width: 10_000, height: 1, channels: 3, background: "red" } })
      .png()
      .toBuffer(),
  );
  assert.equal((await vision.analyse(thread)).faces, []);
});

hostile("a face larger than the picture, at its edge or cut in half is no crash", async () => {
  const [face] = largestFirst(await vision.detect(group));
  assert.ok(face);
  const { x, y, width, height } = face.box;
  for (const [left, top, across, down] of [
    [x, y, width, height],
    [x + width / 2, y, width / 2, height],
    [x, y + height / 2, width, height / 2],
    [x + width / 3, y + height / 3, width / 3, height / 3],
  ] as const) {
    const part = { left, top, width: across, height: down };
    const region = Object.fromEntries(Object.entries(part).map(([k, v]) => [k, Math.round(v)]));
    const cut = await photo()
      .extract({ ...part, ...region })
      .png()
      .toBuffer();
    for (const { embedding, quality } of (await vision.analyse(await decodeImage(cut))).faces) {
      assert.ok(embedding.every(Number.isFinite));
      assert.ok(Number.isFinite(quality.score));
    }
  }
});

hostile("one colour, noise and a chessboard hold no face", async () => {
  const colours = [0, 128, 255].map((grey) => blank(640, 480, [grey, grey, grey]));
  const board = blank(640, 480);
  for (let i = 0; i < board.data.length; i++) {
    board.data[i] = ((Math.floor(i / 3 / 16) + Math.floor(i / 3 / 640 / 16)) % 2) * 255;
  }
  for (const image of [...colours, board]) {
    assert.equal((await vision.analyse(image)).faces, []);
  }
});

hostile("the same face is found in every format, depth and colour model", async () => {
  const versions: Record<string, Promise<Buffer>> = {
    png: photo().png().toBuffer(),
    webp: photo().webp({ quality: 90 }).toBuffer(),
    gif: photo().gif().toBuffer(),
    tiff: photo().tiff({ compression: "lzw" }).toBuffer(),
    avif: photo().resize(800).avif({ quality: 70 }).toBuffer(),
    "progressive JPEG": photo().jpeg({ progressive: true, quality: 92 }).toBuffer(),
    "CMYK JPEG": photo().toColourspace("cmyk").jpeg({ quality: 92 }).toBuffer(),
    "grey JPEG": photo().greyscale().jpeg({ quality: 92 }).toBuffer(),
    "16-bit PNG": photo().toColourspace("rgb16").png().toBuffer(),
    "grey 16-bit PNG": photo().toColourspace("grey16").png().toBuffer(),
    "palette PNG": photo().png({ palette: true, colours: 256 }).toBuffer(),
    "PNG with alpha": photo().ensureAlpha(0.999).png().toBuffer(),
    "grey PNG with alpha": photo().greyscale().ensureAlpha(1).png().toBuffer(),
  };
  for (const [name, bytes] of Object.entries(versions)) {
    const score = await likeness(await bytes);
    assert.ok(score > 0.95, `${name}: ${score}`);
  }
});

hostile("what is transparent is white, and an animation is its first picture", async () => {
  const create = { width: 8, height: 8, channels: 4, background: "#00000000" } as const;
  const glass = await decodeImage(await sharp({ create }).png().toBuffer());
  assert.ok(glass.data.every((value) => value === 255));
  const frames = [GROUP, await photo().negate().toBuffer()];
  const film = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
  const first = await decodeImage(film);
  assert.equal([first.width, first.height], [group.width, group.height]);
  assert.ok((await likeness(film)) > 0.95);
});

hostile("a photo is turned upright, whichever of the eight ways it was stored", async () => {
  // What undoes each orientation, applied backwards: TIFF 6.0, tag 274.
  const stored: readonly { degrees: number; mirrored: boolean }[] = [
    { degrees: 0, mirrored: false },
    { degrees: 0, mirrored: true },
    { degrees: 180, mirrored: false },
    { degrees: 180, mirrored: true },
    { degrees: 90, mirrored: true },
    { degrees: 270, mirrored: false },
    { degrees: 270, mirrored: true },
    { degrees: 90, mirrored: false },
  ];
  for (const [i, { degrees, mirrored }] of stored.entries()) {
    const turned = await photo().rotate(degrees).png().toBuffer();
    const jpeg = await sharp(turned)
      .flop(mirrored)
      .withMetadata({ orientation: i + 1 })
      .jpeg({ quality: 95 })
      .toBuffer();
    const image = await decodeImage(jpeg);
    assert.equal([image.width, image.height], [group.width, group.height], `${i + 1}`);
    assert.ok((await likeness(jpeg)) > 0.98, `orientation ${i + 1}: ${await likeness(jpeg)}`);
  }
});

hostile("a bomb is refused before it is unpacked", async () => {
  const create = { width: 20_000, height: 20_000, channels: 3, background: "white" } as const;
  const bomb = await sharp({ create, limitInputPixels: false }).png().toBuffer();
  assert.ok(bomb.length < 4_000_000, `${bomb.length} bytes`);
  const before = process.memoryUsage().rss;
  await rejects(() => decodeImage(bomb), "image.too-large");
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 ** 2);
  const forged = Buffer.from(await photo().resize(64).png().toBuffer());
  forged.writeUInt32BE(0x7fff_ffff, 16);
  const error = await rejects(() => decodeImage(forged), "image.too-large").catch(() =>
    rejects(() => decodeImage(forged), "image.broken"),
  );
  assert.is(error.remedy, "reject");
  await rejects(() => decodeImage(GROUP, { maxBytes: 1_000 }), "image.too-large");
});

hostile("what is no picture, or half of one, is refused and never a crash", async () => {
  const cut = (part: number): Buffer => GROUP.subarray(0, Math.round(GROUP.length * part));
  const flipped = Buffer.from(GROUP);
  for (let i = 200; i < flipped.length; i += 97) flipped[i] = (flipped[i] ?? 0) ^ 0x55;
  const png = await photo().resize(300).png().toBuffer();
  for (const [name, bytes, code] of [
    ["empty", Buffer.alloc(0), "image.empty"],
    ["text", Buffer.from("there is no face in a text"), "image.format"],
    ["zeros", Buffer.alloc(5_000), "image.format"],
    ["a JPEG's first bytes", GROUP.subarray(0, 3), "image.broken"],
    ["a JPEG without its end", cut(0.6), "image.broken"],
    ["a JPEG without its picture", cut(0.01), "image.broken"],
    ["a PNG without its end", png.subarray(0, png.length >> 1), "image.broken"],
    ["a PNG's signature and text", Buffer.concat([png.subarray(0, 8), GROUP]), "image.broken"],
  ] as const) {
    const error = await rejects(() => decodeImage(bytes), code).catch((other: unknown) => {
      throw new Error(name, { cause: other });
    });
    assert.is(error.remedy, "reject", name);
    assert.match(error.message, /^not a usable picture: /);
  }
  await decodeImage(flipped).catch((error: { code?: string }) => {
    assert.is(error.code, "image.broken");
  });
});

hostile("XML is never rendered, however it begins", async () => {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>`;
  for (const text of [
    svg,
    `<?xml version="1.0"?>\n${svg}`,
    `<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>${svg}`,
    `\ufeff${svg}`,
    `   ${svg}`,
  ]) {
    await rejects(() => decodeImage(Buffer.from(text)), "image.format");
  }
  const pdf = Buffer.from("%PDF-1.4\n%%EOF");
  await rejects(() => decodeImage(pdf), "image.format");
});

hostile("fifteen faces in one picture are all found", async () => {
  const [face] = await vision.detect(group);
  assert.ok(face);
  const { x, y, width } = face.box;
  const side = Math.round(width * 2.2);
  const [left, top] = [Math.round(x - width * 0.6), Math.round(y - width * 0.6)];
  const tile = await photo()
    .extract({ left, top, width: side, height: side })
    .resize(240)
    .toBuffer();
  const tiles = Array.from({ length: 15 }, (_, i) => ({
    input: tile,
    left: (i % 5) * 250,
    top: Math.floor(i / 5) * 240,
  }));
  const create = { width: 1_250, height: 720, channels: 3, background: "#446" } as const;
  const crowd = await sharp({ create }).composite(tiles).png().toBuffer();
  const { faces } = await vision.analyse(await decodeImage(crowd));
  assert.is(faces.length, 15);
  for (const a of faces) {
    for (const b of faces) assert.ok(cosine(a.embedding, b.embedding) > 0.97);
  }
});

hostile("fuzzed bytes give a picture or a refusal, whatever the seed", async () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const bases = [
    await photo().resize(200).jpeg().toBuffer(),
    await photo().resize(200).png().toBuffer(),
    await photo().resize(200).webp().toBuffer(),
    await photo().resize(64).gif().toBuffer(),
    await photo().resize(64).tiff().toBuffer(),
  ];
  for (let round = 0; round < 150; round++) {
    const base = Buffer.from(bases[round % bases.length] ?? GROUP);
    for (let k = 0; k < 1 + (round % 20); k++) {
      base[Math.floor(random() * base.length)] = Math.floor(random() * 256);
    }
    const end = random() < 0.3 ? Math.floor(random() * base.length) : base.length;
    try {
      const { data, width, height } = await decodeImage(base.subarray(0, end));
      assert.is(data.length, width * height * 3);
    } catch (error) {
      const { code } = error as { code?: string };
      assert.match(code ?? String(error), /^image\./, `seed ${seed}, round ${round}`);
    }
  }
});

hostile.run();
