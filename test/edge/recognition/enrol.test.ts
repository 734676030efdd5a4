import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { castFromGroups } from "../../../edge/demo/cast.ts";
import { emptyPorch } from "../../../edge/demo/scenes.ts";
import { type Enrolment, enrol, removalOf } from "../../../edge/recognition/enrol.ts";
import type { Photo, SeenPhoto } from "../../../edge/recognition/enrol-photos.ts";
import { decide } from "../../../edge/recognition/match.ts";
import { openStore } from "../../../edge/store/open-store.ts";
import { blur, brighten, decodeImage, encodeJpeg, resize } from "../../../edge/vision/image.ts";
import type { Vision } from "../../../edge/vision/vision.ts";
import { enrolled, pressed } from "../../support/facts.ts";
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

function enrolIn(
  at: TestStore,
  person: string,
  list: readonly Photo[],
  alike = false,
): Promise<Enrolment> {
  const { gallery } = at.store;
  const thresholds = { match: vision.pack.thresholds.match, margin: 0 };
  const options = { vision, gallery, thresholds, maxSidePx: 1280, newId: randomUUID, alike };
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

/** The same face in other light and focus: as alike as photos of one evening. */
async function looksOf(name: string, strengths: readonly number[]): Promise<Buffer[]> {
  const image = await decodeImage(photoOf(name), { maxSidePx: 1280 });
  return await Promise.all(
    strengths.map(async (strength) =>
      encodeJpeg(await blur(await brighten(image, 1 - strength / 6), 0.3 + strength)),
    ),
  );
}

enrolling(
  "a photo of somebody else among a person's photos is refused, wherever it is",
  async () => {
    const looks = await looksOf("Ada", [0.6, 1.5, 2.4]);
    for (const place of [0, 1, 3]) {
      const files = looks.map((bytes, i) => photo(bytes, `${i}.jpg`));
      files.splice(place, 0, photo(photoOf("Hedy"), "party.jpg"));
      const at = testStore();
      const { reports } = await enrolIn(at, randomUUID(), files);
      const refused = reports.filter(({ refusal }) => refusal === "unlike the other photos");
      assert.equal(
        refused.map((report) => report.photo),
        ["party.jpg"],
      );
      assert.match(refused[0]?.detail ?? "", /similarity 0\.\d{3} to \d\.jpg/);
      at.remove();
    }
    const two = [photo(photoOf("Ada"), "1.jpg"), photo(photoOf("Hedy"), "2.jpg")];
    const unlike = "unlike the other photos";
    assert.equal(await refusalsOf(two), [unlike, unlike], "and none where it is open who is meant");
  },
);

enrolling("a photo that is unlike the templates a person has is refused later too", async () => {
  const at = testStore();
  const ada = randomUUID();
  const { templates } = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
  at.store.append([enrolled(ada, "Ada"), ...templates]);
  const several = ["Hedy", "Evelyn"].map((name) => photo(photoOf(name), name));
  const { reports } = await enrolIn(at, ada, several);
  const unlike = "unlike the other photos";
  assert.equal(
    reports.map(({ refusal }) => refusal),
    [unlike, unlike],
  );
  at.remove();
});

enrolling("copies of a photo in other bytes are the same photo again", async () => {
  const image = await decodeImage(photoOf("Ada"), { maxSidePx: 1280 });
  const copies = [90, 60].map((quality) => encodeJpeg(image, { quality }));
  const files = [photoOf("Ada"), ...(await Promise.all(copies))];
  const again = "same photo again";
  assert.equal(await refusalsOf(files.map((bytes) => photo(bytes))), [null, again, again]);
});

enrolling("a twin can be enrolled when it is asked for, and both come out ambiguous", async () => {
  const at = testStore();
  const [ada, twin] = [randomUUID(), randomUUID()];
  const first = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
  at.store.append([enrolled(ada, "Ada"), ...first.templates]);
  const refused = await enrolIn(at, twin, [photo(photoOf("Ada"))]);
  assert.is(refused.reports[0]?.like, ada, "the owner may know whom it is like");
  const asked = await enrolIn(at, twin, [photo(photoOf("Ada"))], true);
  assert.is(asked.templates.length, 1);
  at.store.append([enrolled(twin, "Eve"), ...asked.templates]);
  const { faces } = await vision.analyse(await decodeImage(photoOf("Ada"), { maxSidePx: 1280 }));
  const probe = faces[0]?.embedding;
  if (probe === undefined) throw new Error("no face");
  const candidates = await at.store.gallery.nearest(vision.pack.id, probe, 5);
  const { outcome } = decide([{ quality: 1, candidates }], vision.pack.thresholds);
  assert.is(outcome, "ambiguous");
  at.remove();
});

enrolling(
  "a template that was removed is nobody's, also after the gallery is rebuilt",
  async () => {
    const at = testStore();
    const ada = randomUUID();
    const { templates } = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
    at.store.append([enrolled(ada, "Ada"), ...templates]);
    const { gallery, append } = at.store;
    const [template] = gallery.templates(ada);
    append(removalOf(template?.id ?? "", gallery.templates(ada), "cli:test"));
    at.store.rebuild();
    assert.equal(at.store.gallery.templates(ada), []);
    assert.equal([...at.store.gallery.embeddings(ada, vision.pack.id)], []);
    assert.is(at.store.gallery.people()[0]?.templates, 0);
    const back = await enrolIn(at, ada, [photo(photoOf("Ada"))]);
    assert.is(back.reports[0]?.refusal, null, "its photo can be enrolled again");
    at.remove();
  },
);

enrolling("what rests on a gallery that has changed since is not appended", () => {
  const at = testStore();
  const types = ["person.enrolled", "template.added"] as const;
  const since = at.store.log.head();
  const other = openStore(at.options);
  other.append([pressed()]);
  const [ada, twin] = [enrolled(randomUUID(), "Ada"), enrolled(randomUUID(), "Ada")];
  assert.ok(other.appendUnlessSince(since, types, [ada]) !== null);
  assert.is(at.store.appendUnlessSince(since, types, [twin]), null);
  at.store.catchUp();
  assert.is(at.store.gallery.named("Ada").length, 1);
  other.close();
  at.remove();
});

enrolling("tells of each photo as soon as it was looked at, in their order", async () => {
  const at = testStore();
  const seen: SeenPhoto[] = [];
  const list = [photo(Buffer.from("x"), "a"), photo(photoOf("Ada"), "b")];
  const thresholds = { match: 0.9, margin: 0 };
  const { gallery } = at.store;
  const options = { vision, gallery, thresholds, maxSidePx: 1280, newId: randomUUID };
  await enrol(randomUUID(), list, options, "cli:test", (photo) => {
    seen.push(photo);
  });
  assert.equal(
    seen.map(({ name }) => name),
    ["a", "b"],
  );
  at.remove();
});

enrolling.run();
