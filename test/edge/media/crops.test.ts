import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { appendEnrolment, storeVisitCrops } from "../../../edge/media/crops.ts";
import { enrolledCrop, visitCrops } from "../../../edge/store/enrolled-crop.ts";
import { createLogger, silentLogger } from "../../../shared/core/logger.ts";
import { filesIn } from "../../support/bytes.ts";
import { canaryFace, enrolled, erased, pressed, template, visit } from "../../support/facts.ts";
import { rejects } from "../../support/rejects.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const crops = suite("crops of faces");
const JPEGS = [20_000, 30_000, 40_000].map((bytes) => randomBytes(bytes));

function partsOf({ store }: TestStore) {
  return { files: store.mediaFiles, append: store.append, newId: randomUUID };
}

function storing(at: TestStore, id: string, revision: number, jpegs = JPEGS): Promise<void> {
  const parts = { ...partsOf(at), logger: silentLogger };
  return storeVisitCrops({ visit: id, revision, crops: jpegs }, parts);
}

function visitOf({ store }: TestStore, id: string) {
  const found = store.visits.find(id);
  if (found === null) throw new Error("there is such a visit");
  return found;
}

const objectsOf = ({ options }: TestStore) => filesIn(join(options.folder, "media"));

function noFull(error: unknown): never {
  throw Object.assign(new Error("no space left on device"), { code: error });
}

crops("of a visit lie beside the log, its entries stay small, and they open again", async () => {
  const at = testStore();
  const id = randomUUID();
  at.store.append(visit(id, null));
  await storing(at, id, 1);
  assert.equal(visitCrops(at.store, visitOf(at, id)), JPEGS);
  const entries = at.store.log.readAfter(0, 100).map(({ body }) => body ?? "");
  assert.ok(Math.max(...entries.map(({ length }) => length)) < 1_000, "a few hundred bytes");
  const objects = objectsOf(at);
  assert.is(objects.size, 3);
  for (const sealed of objects.values()) {
    assert.not(JPEGS.some((jpeg) => sealed.includes(jpeg.subarray(100, 150))));
  }
  at.store.rebuild();
  at.reopen();
  assert.equal(visitCrops(at.store, visitOf(at, id)), JPEGS);
  const bytes = [...objects.values()].reduce((sum, { length }) => sum + length, 0);
  assert.equal(at.store.crops.bytes(), { visits: bytes, templates: 0 });
  at.remove();
});

crops("of an earlier revision go when a later one has its own", async () => {
  const at = testStore();
  const id = randomUUID();
  at.store.append(visit(id, null));
  await storing(at, id, 1);
  const better = [randomBytes(5_000)];
  await storing(at, id, 2, better);
  assert.equal(visitCrops(at.store, visitOf(at, id)), better);
  assert.is(objectsOf(at).size, 1);
  at.remove();
});

crops("of an enrolment are written with its entries, or not at all", async () => {
  const at = testStore();
  const person = randomUUID();
  const [crop] = JPEGS;
  const facts = [enrolled(person, "Ana"), template(person, canaryFace(), { crop: crop as Buffer })];
  const refusing = { ...partsOf(at), append: () => noFull("EIO") };
  let failed = false;
  await appendEnrolment(facts, refusing).catch(() => {
    failed = true;
  });
  assert.ok(failed);
  assert.is(objectsOf(at).size, 0, "no file without an entry");
  const full = {
    ...partsOf(at),
    files: { write: () => noFull("ENOSPC"), remove: () => undefined },
  };
  await rejects(() => appendEnrolment(facts, full), "disk.full");
  assert.equal(at.store.gallery.people(), []);
  await appendEnrolment(facts, partsOf(at));
  const [known] = at.store.gallery.templates();
  assert.ok(known !== undefined);
  assert.equal(enrolledCrop(at.store, known)?.jpeg, crop);
  at.store.append([erased(person)]);
  assert.is(objectsOf(at).size, 0);
  assert.equal(at.store.crops.bytes(), { visits: 0, templates: 0 });
  at.remove();
});

crops("of a log of old are read from its entries", () => {
  const at = testStore();
  const [person, id] = [randomUUID(), randomUUID()];
  const [crop] = JPEGS as [Buffer];
  at.store.append([enrolled(person, "Ana"), template(person, canaryFace(), { crop })]);
  const personal = { biometric: { crops: [crop.toString("base64")] } };
  at.store.append(
    visit(id, null).map((fact) =>
      fact.type === "visit.recognised" ? { ...fact, personal } : fact,
    ),
  );
  const [known] = at.store.gallery.templates();
  assert.ok(known !== undefined);
  assert.equal(enrolledCrop(at.store, known)?.jpeg, crop);
  assert.equal(visitCrops(at.store, visitOf(at, id)), [crop]);
  at.remove();
});

crops("that a full disk does not take, or of somebody erased, end nothing", async () => {
  const at = testStore();
  const [person, id, erasedVisit] = [randomUUID(), randomUUID(), randomUUID()];
  const lines: string[] = [];
  const logger = createLogger({ write: (line) => lines.push(line), now: () => 0, level: "warn" });
  at.store.append([...visit(id, null), enrolled(person, "Ana"), ...visit(erasedVisit, person)]);
  const full = { write: () => noFull("ENOSPC"), remove: () => undefined };
  await storeVisitCrops(
    { visit: id, revision: 1, crops: JPEGS },
    { ...partsOf(at), files: full, logger },
  );
  at.store.append([erased(person)]);
  await storeVisitCrops(
    { visit: erasedVisit, revision: 2, crops: JPEGS },
    { ...partsOf(at), logger },
  );
  assert.is(lines.length, 2);
  assert.is(objectsOf(at).size, 0);
  assert.ok((at.store.append([pressed()])[0]?.seq ?? 0) > 0);
  at.remove();
});

crops("whose entry a command is about to write are no orphans yet", async () => {
  const at = testStore();
  const sha256 = await at.store.mediaFiles.write(randomBytes(5_000));
  assert.is(at.store.mediaFiles.sweep(at.store.crops.isKnown, Date.now() - 600_000), 0);
  assert.ok(at.store.mediaFiles.read(sha256) !== null);
  assert.is(at.store.mediaFiles.sweep(at.store.crops.isKnown, Date.now() + 1_000), 1);
  at.remove();
});

crops.run();
