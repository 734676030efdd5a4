import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { evaluate, type LabelledPeople } from "../../edge/evaluate/evaluate.ts";
import { drawPairs } from "../../edge/evaluate/pairs.ts";
import { rateInWords } from "../../edge/evaluate/rate.ts";
import { decodeImage } from "../../edge/vision/image.ts";
import { readManifest } from "../../edge/vision/manifest.ts";
import { pullPack } from "../../edge/vision/pull.ts";
import { openVision, type Vision } from "../../edge/vision/vision.ts";
import { silentLogger } from "../../shared/logger.ts";
import { openDefaultVision } from "../support/people.ts";
import { sharedData } from "../support/shared-data.ts";
import { tempFolder } from "../support/temp.ts";

/**
 * A quick look at what docs/accuracy.md measures in full: 60 people, every second photo. The floors
 * lie about a standard error below what these photos gave.
 */
const accuracy = suite("accuracy on labelled photos");
const PEOPLE_COUNT = 60;
const models = tempFolder("accuracy");

accuracy.after(() => models.remove());

/** Folders of people among the photos; two other folders hold groups, and no faces. */
function peopleIn(faces: string): LabelledPeople[] {
  const folders = readdirSync(faces, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !["group", "noface"].includes(entry.name))
    .map(({ name }) => name)
    .sort();
  return folders.slice(0, PEOPLE_COUNT).map((person) => {
    const photos = readdirSync(join(faces, person)).sort();
    return { person, photos: photos.filter((_, i) => i % 2 === 0).map((p) => `${person}/${p}`) };
  });
}

async function opencvVision(published: string): Promise<Vision> {
  const { signal } = new AbortController();
  const options = { from: published, signal, random: () => 0 };
  await pullPack(models.path, readManifest("opencv"), options);
  const packFolder = join(models.path, "opencv");
  return await openVision({ packFolder, threads: 1, logger: silentLogger });
}

interface Floors {
  readonly found: number;
  readonly accuracy: number;
  readonly tar: number;
  readonly known: number;
}

async function measure(vision: Vision, faces: string, floors: Floors): Promise<void> {
  const people = peopleIn(faces);
  const { evaluation } = await evaluate(people, drawPairs(people, 1), {
    vision,
    folder: faces,
    maxSidePx: 1280,
    thresholds: vision.pack.thresholds,
    photosEach: 2,
    gallerySize: 10,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  const { detection, verification, identification } = evaluation;
  const [atPercent, atPermille] = verification?.points ?? [];
  assert.ok(verification && atPercent && atPermille);
  process.stdout.write(
    `\n${vision.pack.id}: found ${rateInWords(detection)}` +
      `\n  accuracy ${rateInWords(verification.accuracy)}` +
      `\n  TAR at FAR 1 % ${rateInWords(atPercent.tar)}, 0.1 % ${rateInWords(atPermille.tar)}` +
      `\n  known ${rateInWords(identification.known)}` +
      `, strangers let in ${rateInWords(identification.falseAccepts)}\n`,
  );
  assert.ok(detection.rate >= floors.found, `found ${detection.rate}`);
  assert.ok(verification.accuracy.rate >= floors.accuracy, rateInWords(verification.accuracy));
  assert.ok(atPercent.tar.rate >= floors.tar, rateInWords(atPercent.tar));
  assert.ok(identification.known.rate >= floors.known, rateInWords(identification.known));
  assert.is(identification.wrongPerson.count, 0);
  assert.ok(identification.falseAccepts.rate < 0.06, rateInWords(identification.falseAccepts));
}

/** Faces found of those counted by eye, and photos without a face in which one was found. */
async function detection(vision: Vision, faces: string): Promise<{ found: number; wrong: number }> {
  const look = async (path: string): Promise<number> => {
    const image = await decodeImage(readFileSync(join(faces, path)), { maxSidePx: 1280 });
    return (await vision.detect(image)).length;
  };
  const lines = readFileSync(join(faces, "group/counts.csv"), "utf8").trim().split("\n").slice(1);
  let found = 0;
  for (const line of lines) {
    const [file, count] = line.split(",");
    found += Math.min(await look(`group/${file}`), Number(count));
  }
  let wrong = 0;
  for (const file of readdirSync(join(faces, "noface"))) {
    if ((await look(`noface/${file}`)) > 0) wrong++;
  }
  process.stdout.write(`\n${vision.pack.id}: ${found} of 46 in groups, ${wrong} where none is\n`);
  return { found, wrong };
}

accuracy("the default pack knows people and lets few strangers in", async () => {
  const faces = sharedData("faces");
  if (faces === null) return;
  const vision = await openDefaultVision();
  await measure(vision, faces, { found: 0.99, accuracy: 0.98, tar: 0.96, known: 0.9 });
  const { found, wrong } = await detection(vision, faces);
  assert.ok(found >= 42 && wrong <= 2, `${found} found, ${wrong} wrong`);
  await vision.close();
});

accuracy("the opencv pack does better", async () => {
  const [faces, published] = [sharedData("faces"), sharedData("models")];
  if (faces === null || published === null) return;
  const vision = await opencvVision(published);
  await measure(vision, faces, { found: 1, accuracy: 0.99, tar: 0.985, known: 0.97 });
  const { found, wrong } = await detection(vision, faces);
  assert.ok(found === 46 && wrong === 0, `${found} found, ${wrong} wrong`);
  await vision.close();
});

accuracy.run();
