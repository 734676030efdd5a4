import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Actor } from "../../../edge/demo/cast.ts";
import type { Evaluation } from "../../../edge/evaluate/evaluate.ts";
import { verify } from "../../../edge/evaluate/verification.ts";
import type { RgbImage } from "../../../edge/vision/face.ts";
import { blank, blur, brighten, encodeJpeg, resize } from "../../../edge/vision/image.ts";
import { json, porchlight } from "../../support/cli.ts";
import { BUNDLED_PHOTOS, bundledPeople, DEFAULT_PACK } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const evaluate = suite("porchlight evaluate");
const folder = tempFolder("evaluate");
const at = (...path: string[]): string => join(folder.path, ...path);
const environment = { PORCHLIGHT_MODELS_DIRECTORY: at("models") };
let people: readonly Actor[] = [];

/** Each person's looks, as they are and as another lens, light and distance would show them. */
async function photosOf({ looks }: Actor): Promise<Buffer[]> {
  const images: RgbImage[] = [];
  for (const look of looks) {
    const [width, height] = [Math.round(look.width * 0.7), Math.round(look.height * 0.7)];
    const far = await resize(look, width, height);
    images.push(look, far, await brighten(look, 0.7), await blur(far, 1.2));
  }
  return await Promise.all(images.map((image) => encodeJpeg(image)));
}

evaluate.before(async () => {
  cpSync(DEFAULT_PACK, at("models/default"), { recursive: true, dereference: true });
  people = await bundledPeople();
  for (const actor of people) {
    mkdirSync(at("people", actor.name), { recursive: true });
    for (const [i, jpeg] of (await photosOf(actor)).entries()) {
      writeFileSync(at("people", actor.name, `${i + 1}.jpg`), jpeg);
    }
  }
});
evaluate.after(() => folder.remove());

type Report = Evaluation & { calibration: { match: number; comparisons: number } | null };
const run = (...args: string[]) =>
  porchlight(["evaluate", "--images", at("people"), ...args], environment);

evaluate("its figures can be made again from the scores it writes", async () => {
  const ran = await run("--scores", at("scores.csv"), "--plot", at("det.svg"), "--json");
  assert.is(ran.code, 0, ran.err);
  const report = json<Report>(ran);
  const lines = readFileSync(at("scores.csv"), "utf8").trim().split("\n").slice(1);
  const scored = lines.map((line) => {
    const [, , same, score = ""] = line.split(",");
    return { same: same === "1", score: score === "" ? null : Number(score) };
  });
  assert.equal(JSON.parse(JSON.stringify(verify(scored))), report.verification);
  assert.match(readFileSync(at("det.svg"), "utf8"), /<polyline/);
  assert.ok(report.detection.rate > 0.8, `${report.detection.count} of ${report.detection.of}`);
  assert.ok((report.verification?.accuracy.rate ?? 0) > 0.95);
  assert.is(report.identification.wrongPerson.count, 0);
  assert.is(report.identification.falseAccepts.count, 0);
  const words = await run();
  assert.match(words.out, /accuracy, 10 folds/);
  assert.match(words.out, /false accepts +0\.00 %/);
});

evaluate("a photo without a face and one that is none count, and never stop it", async () => {
  const [first] = people;
  assert.ok(first);
  const own = at("spoilt", first.name);
  cpSync(at("people"), at("spoilt"), { recursive: true });
  writeFileSync(join(own, "8.jpg"), await encodeJpeg(blank(300, 300, [90, 90, 90])));
  writeFileSync(join(own, "9.jpg"), "no photo");
  const ran = await porchlight(["evaluate", "--images", at("spoilt"), "--json"], environment);
  assert.is(ran.code, 0, ran.err);
  const report = json<Report>(ran);
  assert.ok(report.detection.of - report.detection.count >= 2);
  assert.equal(
    report.unreadable.map(({ photo }) => photo),
    [`${first.name}/9.jpg`],
  );
  assert.ok((report.verification?.withoutScore.same ?? 0) > 0);
});

evaluate("the face in the middle counts, not the largest", async () => {
  mkdirSync(at("group/one"), { recursive: true });
  cpSync(join(BUNDLED_PHOTOS, "sample1.jpg"), at("group/one/1.jpg"));
  cpSync(join(BUNDLED_PHOTOS, "sample1.jpg"), at("group/one/2.jpg"));
  const ran = await porchlight(["evaluate", "--images", at("group"), "--json"], environment);
  assert.is(ran.code, 0, ran.err);
  assert.is(json<Report>(ran).verification, null);
  assert.match(ran.err, /two people/);
});

evaluate("pairs of one's own are measured as they are", async () => {
  const [a, b] = people.filter(({ looks }) => looks.length > 0);
  assert.ok(a && b);
  const lines = [
    `${a.name}/1.jpg,${a.name}/2.jpg,1`,
    `${b.name}/1.jpg,${b.name}/2.jpg,1`,
    `${a.name}/1.jpg,${b.name}/1.jpg,0`,
  ];
  writeFileSync(at("pairs.csv"), `a,b,same\n${lines.join("\n")}\n`);
  const ran = await run("--pairs", at("pairs.csv"), "--scores", at("own.csv"), "--json");
  assert.is(ran.code, 0, ran.err);
  const report = json<Report>(ran);
  assert.equal(report.verification?.pairs, { same: 2, different: 1 });
  assert.is(report.detection.of, 4);
  assert.equal(
    readFileSync(at("own.csv"), "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.split(",").slice(0, 3).join()),
    lines,
  );
});

evaluate("scores two photos exactly as identify does", async () => {
  const known = people.filter(({ stranger }) => !stranger).slice(0, 2);
  const lines = known.map(({ name }) => `${name}/1.jpg,${name}/3.jpg,1`);
  writeFileSync(at("alike.csv"), `a,b,same\n${lines.join("\n")}\n`);
  const ran = await run("--pairs", at("alike.csv"), "--scores", at("alike-scores.csv"));
  assert.is(ran.code, 0, ran.err);
  const scored = readFileSync(at("alike-scores.csv"), "utf8").trim().split("\n").slice(1);
  for (const [i, { name }] of known.entries()) {
    const gallery = at(`alike-${i}`);
    mkdirSync(join(gallery, name), { recursive: true });
    cpSync(at("people", name, "1.jpg"), join(gallery, name, "1.jpg"));
    const visitor = at("people", name, "3.jpg");
    const args = ["identify", visitor, "--gallery", gallery, "--json"];
    const seen = await porchlight(args, environment);
    const [{ faces } = { faces: [] }] = json<{ faces: { score: number | null }[] }[]>(seen);
    assert.is(scored[i], `${lines[i]},${faces[0]?.score?.toFixed(4)}`, seen.err);
  }
});

evaluate("calibration is kept beside the pack and used from then on", async () => {
  const goal = ["--calibrate", "--far", "0.01", "--gallery-size", "5"];
  const ran = await run(...goal, "--json");
  assert.is(ran.code, 0, ran.err);
  const { calibration } = json<Report>(ran);
  assert.ok(calibration && calibration.comparisons >= 200);
  const local = JSON.parse(readFileSync(at("models/default/local.json"), "utf8"));
  assert.equal([local.match, local.far, local.gallerySize], [calibration.match, 0.01, 5]);
  const again = json<Report>(await run("--json"));
  assert.is(again.identification.thresholds.match, calibration.match);
  const verified = await porchlight(["models", "verify", "--json"], environment);
  assert.ok(json<{ thresholds: { calibrated: boolean } }>(verified).thresholds.calibrated);
  rmSync(at("models/default/local.json"));
  mkdirSync(at("few"));
  for (const { name } of people.slice(0, 2)) {
    cpSync(at("people", name), at("few", name), { recursive: true });
  }
  const few = await porchlight(["evaluate", "--images", at("few"), "--calibrate"], environment);
  assert.is(few.code, 1);
  assert.match(few.err, /too few.*\n.*more people/);
  assert.not.ok(existsSync(at("models/default/local.json")));
});

evaluate("a wrong command line exits 64 before any work, an unknown pack 2", async () => {
  writeFileSync(at("bad.csv"), "a,b,same\na,b\n");
  writeFileSync(at("gone.csv"), "x/1.jpg,x/2.jpg,1\n");
  for (const [args, code, words] of [
    [[], 64, "--images DIR is missing"],
    [["--images", at("nowhere")], 64, "there is no photo or folder"],
    [["--images", at("people"), "--pairs", at("none.csv")], 64, "no pairs at"],
    [["--images", at("people"), "--pairs", at("bad.csv")], 64, "line 2 of the pairs"],
    [["--images", at("people"), "--pairs", at("gone.csv")], 64, "the pairs name x/1.jpg"],
    [["--images", at("people"), "--scores", at("no/such.csv")], 64, "there is no folder"],
    [["--images", at("people"), "--far", "2"], 64, "--far is a number"],
    [["--images", at("people"), "--pack", "no-such"], 2, "porchlight models list"],
  ] as const) {
    const ran = await porchlight(["evaluate", ...args], environment);
    assert.is(ran.code, code, `${args}: ${ran.err}`);
    assert.ok(ran.err.includes(words), `${args}: ${ran.err}`);
  }
});

evaluate.run();
