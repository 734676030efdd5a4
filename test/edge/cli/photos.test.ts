import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import * as assert from "uvu/assert";
import { photosIn, readPhoto } from "../../../edge/cli/photos.ts";
import { decodeImage } from "../../../edge/vision/image.ts";
import { collect, json, porchlight, startPorchlight } from "../../support/cli.ts";
import { BUNDLED_PHOTOS } from "../../support/people.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const photos = suite("photos as people have them");
const folder = tempFolder("photos");
const at = (...path: string[]): string => join(folder.path, ...path);
const GROUP = readFileSync(join(BUNDLED_PHOTOS, "sample1.jpg"));
const MODULE = fileURLToPath(new URL("../../../edge/cli/photos.ts", import.meta.url));
const NOBODY = 65_534;

photos.before(() => {
  for (const name of ["odd", "odd/00.jpg", "odd/nest", "phone"]) mkdirSync(at(name));
  writeFileSync(at("odd", "10.jpg"), GROUP);
  writeFileSync(at("odd", "2.JPEG"), GROUP);
  writeFileSync(at("odd", "nest", "1.jpg"), GROUP);
  writeFileSync(at("odd", "notes.txt"), "");
  writeFileSync(at("odd", ".hidden.jpg"), "");
  writeFileSync(
    Buffer.concat([Buffer.from(at("odd", "caf")), Buffer.from([0xe9]), Buffer.from(".jpg")]),
    GROUP,
  );
  symlinkSync(at("nowhere.jpg"), at("odd", "dangling.jpg"));
  symlinkSync(at("odd", "10.jpg"), at("odd", "linked.jpg"));
  for (const name of ["1.HEIC", "2.heic"]) writeFileSync(at("phone", name), heic());
});
photos.after(() => folder.remove());

/** How an iPhone's file begins. */
function heic(): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from("ftypheic\0\0\0\0mif1heic")]);
}

photos("a folder gives its photos in natural order, and names what it passes over", () => {
  const { photos: found, notes } = photosIn(at("odd"));
  assert.equal(
    found.map((path) => path.slice(at("odd").length + 1)),
    ["2.JPEG", "10.jpg", "linked.jpg"],
  );
  const said = notes.join("\n");
  for (const words of [
    "dangling.jpg passed over: links to nothing",
    "no UTF-8",
    "notes.txt",
    "nest",
  ]) {
    assert.ok(said.includes(words), `${words} in ${said}`);
  }
  assert.not.ok(said.includes("hidden"));
});

photos("HEIC is counted and named, with the way out, by name and by content", async () => {
  const { photos: found, notes } = photosIn(at("phone"));
  assert.equal(found, []);
  assert.match(notes.join("\n"), /2 files \(1\.HEIC, …\) passed over: HEIC.*Most Compatible/);
  const error = await rejects(() => decodeImage(heic()), "image.format");
  assert.match(error.message, /HEIC.*heif-convert/);
});

photos("what may not be read is said with the command that mends it", () => {
  mkdirSync(at("private"));
  writeFileSync(at("private", "1.jpg"), GROUP);
  writeFileSync(at("secret.jpg"), GROUP);
  chmodSync(at("private"), 0o700);
  chmodSync(at("secret.jpg"), 0o000);
  chmodSync(folder.path, 0o755);
  const program = `
    const { photosIn, readPhoto } = await import(${JSON.stringify(MODULE)});
    for (const look of [() => photosIn(process.argv[1]), () => photosIn(process.argv[1] + "/1.jpg"), () => readPhoto(process.argv[2])]) {
      try { look(); console.log("read"); } catch (e) { console.log(e.code + " " + e.message + " | " + e.hint); }
    }`;
  const root = process.getuid?.() === 0;
  if (!root) chmodSync(at("private"), 0o000);
  const args = [
    ...process.execArgv,
    "--input-type=module",
    "-e",
    program,
    at("private"),
    at("secret.jpg"),
  ];
  const ran = spawnSync(process.execPath, args, {
    encoding: "utf8",
    ...(root && { uid: NOBODY, gid: NOBODY }),
  });
  if (!root) chmodSync(at("private"), 0o700);
  const lines = ran.stdout.trim().split("\n");
  assert.is(lines.length, 3, ran.stderr);
  for (const line of lines)
    assert.match(line, /^photo\.denied user \S+ may not read .*chmod -R o\+rX/);
});

photos("a missing photo and a folder instead of one are no crash", async () => {
  await rejects(() => photosIn(at("none.jpg")), "photo.missing");
  await rejects(() => photosIn(at("secret.jpg", "x.jpg")), "photo.missing");
  await rejects(() => readPhoto(at("odd")), "photo.unreadable");
});

photos("a JPEG that lacks its last bytes is judged by what is there", async () => {
  const turned = await sharp(GROUP).resize(900).withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const progressive = await sharp(GROUP).resize(900).jpeg({ progressive: true }).toBuffer();
  for (const whole of [GROUP, turned]) {
    const { width, height } = await decodeImage(whole);
    for (const lost of [1, 2, 10, 100, 2_000]) {
      const cut = whole.subarray(0, whole.length - lost);
      await rejects(() => decodeImage(cut), "image.broken");
      const image = await decodeImage(cut, { cutShort: true });
      assert.equal([image.width, image.height], [width, height], `${lost} bytes lost`);
    }
  }
  for (const part of [0.01, 0.3, 0.6]) {
    const cut = GROUP.subarray(0, Math.round(GROUP.length * part));
    await rejects(() => decodeImage(cut, { cutShort: true }), "image.broken");
  }
  assert.ok(await decodeImage(progressive.subarray(0, -10), { cutShort: true }));
});

photos(
  "a photo of 108 megapixels is shrunk while it is read; a progressive one is refused",
  async () => {
    const create = { width: 12_000, height: 9_000, channels: 3, background: "grey" } as const;
    const source = sharp({ create, limitInputPixels: false });
    const image = await decodeImage(await source.clone().jpeg().toBuffer());
    assert.equal([image.width, image.height], [1920, 1440]);
    const progressive = await source.clone().jpeg({ progressive: true }).toBuffer();
    await rejects(() => decodeImage(progressive), "image.too-large");
  },
);

photos("one bad file never ends a run, and each is told", async () => {
  const data = at("data");
  assert.is((await porchlight(["init", "--data", data])).code, 0);
  copyFileSync(at("odd", "10.jpg"), at("odd", "zz.jpg"));
  writeFileSync(at("odd", "torn.jpg"), GROUP.subarray(0, 500));
  const ran = await porchlight(["identify", at("odd"), "--data", data, "--json"]);
  assert.is(ran.code, 2, ran.err);
  const results = json<{ photo: string; error: string | null }[]>(ran);
  assert.is(results.length, 5);
  assert.equal(
    results.filter(({ error }) => error !== null).map(({ photo }) => photo),
    [at("odd", "torn.jpg")],
  );
  const phone = await porchlight(["enroll", "Ada", at("phone"), "--data", data]);
  assert.is(phone.code, 64);
  assert.match(phone.err, /2 files .*HEIC[\s\S]*no photo to enrol/);
});

photos(
  "Ctrl-C in the middle of an enrolment enrols nothing, and says where it stopped",
  async () => {
    mkdirSync(at("many"));
    for (let i = 0; i < 150; i++) {
      writeFileSync(at("many", `${i}.jpg`), Buffer.concat([GROUP, Buffer.from([i])]));
    }
    const data = ["--data", at("data")];
    const child = startPorchlight(["enroll", "Ada", at("many"), ...data]);
    setTimeout(() => child.kill("SIGINT"), 2_500);
    const { code, err } = await collect(child);
    assert.is(code, 1, err);
    assert.match(err, /stopped after \d+ of 150 photos: nothing was enrolled/);
    assert.equal(json<unknown[]>(await porchlight(["people", "list", ...data, "--json"])), []);
  },
);

photos.run();
