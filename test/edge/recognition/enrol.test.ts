import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { castFromGroups } from "../../../edge/demo/cast.ts";
import { emptyPorch } from "../../../edge/demo/scenes.ts";
import {
  type Enrolment,
  enrol,
  type Photo,
  type PhotoReport,
  TEMPLATES_PER_PERSON_MAX,
} from "../../../edge/recognition/enrol.ts";
import { blur, brighten, decodeImage, encodeJpeg, resize } from "../../../edge/vision/image.ts";
import type { Vision } from "../../../edge/vision/vision.ts";
import { enrolled, randomEmbedding, seeded, template } from "../../support/facts.ts";
import { BUNDLED_PHOTOS, openDefaultVision } from "../../support/people.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const enrolling = suite("enrolment");
let vision: Vision;
let photos: Readonly<Record<string, Buffer>> = {};

enrolling.before(async () => {
  vision = await openDefaultVision();
  const actors = await castFromGroups(vision, BUNDLED_PHOTOS);
  photos = Object.fromEntries(
    actors.flatMap(({ name, enrolment: [jpeg] }) => (jpeg ? [[name, jpeg]] : [])),
  );
});
enrolling.after(() => vision.close());

function photoOf(name: string): Buffer {
  const jpeg = photos[name];
  if (jpeg === undefined) throw new Error(`no photo of ${name}`);
  return jpeg;
}

function photo(bytes: Buffer, name = "photo.jpg"): Photo {
  return { name, bytes, source: "photo" };
}

function enrolIn(at: TestStore, person: string, list: readonly Photo[]): Promise<Enrolment> {
  const { gallery } = at.store;
  const thresholds = { match: vision.pack.thresholds.match, margin: 0 };
  const options = { vision, gallery, thresholds, maxSidePx: 1280, newId: randomUUID };
  return enrol(person, list, options, "cli:test", () => undefined);
}

async function refusalsOf(list: readonly Photo[]): Promise<(string | null)[]> {
  const at = testStore();
  const { reports, templates } = await enrolIn(at, randomUUID(), list);
  at.remove();
  assert.is(templates.length, reports.filter(({ taken }) => taken).length);
  return reports.map(({ refusal }) => refusal);
}

enrolling("takes a good photo; its template is then the person's nearest", async () => {
  const at = testStore();
  const ada = randomUUID();
  const { reports, templates } = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
  assert.equal(
    reports.map(({ taken, refusal }) => [taken, refusal]),
    [[true, null]],
  );
  at.store.append([enrolled(ada, "Ada"), ...templates]);
  const image = await decodeImage(photoOf("Ada"), { maxSidePx: 1280 });
  const { faces } = await vision.analyse(image);
  const probe = faces[0]?.embedding;
  assert.ok(probe);
  if (probe === undefined) return;
  const [nearest] = await at.store.gallery.nearest(vision.pack.id, probe, 1);
  assert.is(nearest?.person, ada);
  assert.ok((nearest?.score ?? 0) > 0.99);
  at.remove();
});

enrolling(
  "says of each photo that is no good what is wrong with it, and writes nothing of it",
  async () => {
    const ada = photoOf("Ada");
    const image = await decodeImage(ada, { maxSidePx: 1280 });
    const small = await resize(image, Math.round(image.width / 8), Math.round(image.height / 8));
    const group = readFileSync(join(BUNDLED_PHOTOS, "sample6.jpg"));
    const cases: readonly [string, Buffer][] = [
      ["unreadable", Buffer.from("not a picture")],
      ["unreadable", ada.subarray(0, 200)],
      ["no face", await encodeJpeg(await emptyPorch())],
      ["several faces", group],
      ["blurred", await encodeJpeg(await blur(image, 6))],
      ["too dark", await encodeJpeg(await brighten(image, 0.25))],
      ["too small", await encodeJpeg(small)],
    ];
    assert.equal(
      await refusalsOf(cases.map(([, bytes], i) => photo(bytes, `${i}.jpg`))),
      cases.map(([refusal]) => refusal),
    );
  },
);

enrolling("the same photo counts once, in one go and later", async () => {
  const at = testStore();
  const ada = randomUUID();
  const twice = [photo(photoOf("Ada")), photo(photoOf("Ada"), "copy.jpg")];
  const first = await enrolIn(at, ada, twice);
  assert.equal(
    first.reports.map(({ refusal }) => refusal),
    [null, "same photo again"],
  );
  at.store.append([enrolled(ada, "Ada"), ...first.templates]);
  const again = await enrolIn(at, ada, twice);
  assert.equal(
    again.reports.map(({ refusal }) => refusal),
    ["same photo again", "same photo again"],
  );
  assert.is(again.templates.length, 0);
  at.remove();
});

enrolling("a photo of somebody who is enrolled already is refused for another person", async () => {
  const at = testStore();
  const ada = randomUUID();
  const { templates } = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
  at.store.append([enrolled(ada, "Ada"), ...templates]);
  const thief = await enrolIn(at, randomUUID(), [photo(photoOf("Ada"))]);
  assert.is(thief.reports[0]?.refusal, "nearer to another person");
  const other = await enrolIn(at, randomUUID(), [photo(photoOf("Hedy"))]);
  assert.is(other.reports[0]?.refusal, null, "somebody else is not");
  at.remove();
});

enrolling(
  "a person has at most so many templates; those of another pack do not count",
  async () => {
    const at = testStore();
    const ada = randomUUID();
    const random = seeded(5);
    const pack = vision.pack.id;
    const fill = (of: string) =>
      Array.from({ length: TEMPLATES_PER_PERSON_MAX }, () =>
        template(ada, randomEmbedding(random, vision.pack.dimension), { pack: of }),
      );
    at.store.append([enrolled(ada, "Ada"), ...fill("other@1")]);
    const taken = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
    assert.is(taken.reports[0]?.refusal, null);
    at.store.append(fill(pack));
    const full = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
    assert.is(full.reports[0]?.refusal, "enough templates");
    at.remove();
  },
);

enrolling("tells of each photo as soon as it was looked at, in their order", async () => {
  const at = testStore();
  const seen: PhotoReport[] = [];
  const list = [photo(Buffer.from("x"), "a"), photo(photoOf("Ada"), "b")];
  const thresholds = { match: 0.9, margin: 0 };
  const { gallery } = at.store;
  const options = { vision, gallery, thresholds, maxSidePx: 1280, newId: randomUUID };
  const { reports } = await enrol(randomUUID(), list, options, "cli:test", (report) => {
    seen.push(report);
  });
  assert.equal(seen, reports);
  assert.equal(
    seen.map((report) => report.photo),
    ["a", "b"],
  );
  at.remove();
});

enrolling.run();
