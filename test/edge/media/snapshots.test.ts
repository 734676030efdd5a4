import { createHash, randomUUID } from "node:crypto";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { createSnapshots, type Snapshots } from "../../../edge/media/snapshots.ts";
import { openObject } from "../../../edge/vault/objects.ts";
import { decodeImage, encodeJpeg, encodePng } from "../../../edge/vision/image.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { filesIn } from "../../support/bytes.ts";
import { holdsJpeg, isJpeg } from "../../support/camera.ts";
import { enrolled, erased, visit } from "../../support/facts.ts";
import { frameOf } from "../../support/frames.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const snapshots = suite("snapshots of a visit");
const frame = await encodeJpeg(await frameOf(1600, 900));

function takingOf(at: TestStore, more: Partial<Parameters<typeof createSnapshots>[0]> = {}) {
  return createSnapshots({
    config: () => ({ sizes: [1280, 320], quality: 80 }),
    files: at.store.mediaFiles,
    append: at.store.append,
    hasRoom: () => true,
    newId: randomUUID,
    logger: silentLogger,
    ...more,
  });
}

async function shoot(taking: Snapshots, id: string, subject = id, image = frame): Promise<void> {
  taking.take({ visit: id, subject, image });
  await taking.settle();
}

/** Paths of files in the media folder, with their bytes. */
function objectsOf({ options }: TestStore): ReadonlyMap<string, Buffer> {
  return filesIn(join(options.folder, "media"));
}

snapshots(
  "lie sealed in two sizes, named by their bytes, and open with the vault's keys",
  async () => {
    const at = testStore();
    const id = randomUUID();
    at.store.append(visit(id, null));
    await shoot(takingOf(at), id);
    const { media, mediaFiles: files, log, keyring } = at.store;
    const items = media.ofVisit(id);
    assert.equal(
      items.map(({ widthPx, heightPx }) => [widthPx, heightPx]),
      [
        [1280, 720],
        [320, 180],
      ],
    );
    const objects = objectsOf(at);
    assert.is(objects.size, 2);
    for (const item of items) {
      const path = `${item.sha256.slice(0, 2)}/${item.sha256}`;
      const sealed = objects.get(path);
      assert.ok(sealed !== undefined && sealed.length === item.bytes);
      assert.is(createHash("sha256").update(sealed).digest("hex"), item.sha256);
      assert.not(holdsJpeg(sealed), "no JPEG begins in it");
      const full = join(at.options.folder, "media", path);
      assert.is(statSync(full).mode & 0o777, 0o640, "the agent may read it");
      const picture = openObject(item, { log, keyring, files });
      assert.ok(picture !== null && isJpeg(picture));
      const { width, height } = await decodeImage(picture);
      assert.equal([width, height], [item.widthPx, item.heightPx]);
      assert.not(picture.includes("Exif"));
    }
    assert.is(statSync(join(at.options.folder, "media")).mode & 0o7777, 0o2750);
    assert.is(media.find(items[0]?.id.slice(0, 8) ?? "")?.id, items[0]?.id);
    assert.is(
      media.bytes(),
      items.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    at.store.rebuild();
    assert.equal(at.store.media.ofVisit(id), items, "the log alone brings them back");
    at.remove();
  },
);

snapshots("a narrow frame is kept once, and a PNG becomes a JPEG", async () => {
  const at = testStore();
  const [narrow, png] = [randomUUID(), randomUUID()];
  const small = await frameOf(240, 180);
  await shoot(takingOf(at), narrow, narrow, await encodeJpeg(small));
  await shoot(takingOf(at), png, png, await encodePng(small));
  for (const id of [narrow, png]) {
    const items = at.store.media.ofVisit(id);
    assert.equal(
      items.map(({ widthPx }) => widthPx),
      [240],
    );
  }
  at.remove();
});

snapshots("go with the person they are of, also where they were taken of a stranger", async () => {
  const at = testStore();
  const [person, other] = [randomUUID(), randomUUID()];
  const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
  at.store.append([enrolled(person, "somebody"), enrolled(other, "somebody else")]);
  at.store.append([...visit(first, person), ...visit(second, person), ...visit(third, other)]);
  const taking = takingOf(at);
  await shoot(taking, first, person);
  await shoot(taking, second); // before it was known who it was
  await shoot(taking, third, other);
  assert.is(objectsOf(at).size, 6);
  const items = [...at.store.media.ofVisit(first), ...at.store.media.ofVisit(second)];
  at.store.append([erased(person)]);
  assert.equal(at.store.media.ofVisit(first), []);
  assert.equal(at.store.media.ofVisit(second), []);
  const left = [...objectsOf(at).keys()].map((path) => path.slice(3)).sort();
  assert.equal(
    left,
    at.store.media
      .ofVisit(third)
      .map(({ sha256 }) => sha256)
      .sort(),
  );
  const { log, keyring } = at.store;
  const files = { read: () => Buffer.alloc(100) };
  for (const item of items) assert.is(openObject(item, { log, keyring, files }), null, "no key");
  await shoot(taking, first, person);
  assert.is(objectsOf(at).size, 2, "a picture that came too late leaves nothing");
  at.remove();
});

snapshots("go when the log gives their entries up", async () => {
  const at = testStore();
  const [old, kept] = [randomUUID(), randomUUID()];
  await shoot(takingOf(at), old);
  const policy = { maxMiB: 512, maxDays: 10_000, shed: ["media"] } as const;
  assert.is(at.store.retention.step(policy, Number.POSITIVE_INFINITY), "shed");
  assert.is(objectsOf(at).size, 0);
  assert.equal(at.store.media.ofVisit(old), []);
  await shoot(takingOf(at), kept);
  assert.is(objectsOf(at).size, 2);
  at.remove();
});

snapshots("a file whose entry was never written is swept, and no other", async () => {
  const at = testStore();
  const id = randomUUID();
  await shoot(takingOf(at), id);
  await at.store.mediaFiles.write(Buffer.from("its entry was never written"));
  writeFileSync(join(at.options.folder, "media", "unfinished-1"), "half");
  const { media, mediaFiles } = at.reopen();
  assert.is(mediaFiles.sweep(media.isKnown, Date.now() + 1_000), 2);
  assert.is(objectsOf(at).size, 2);
  assert.is(mediaFiles.sweep(media.isKnown, Date.now() + 1_000), 0);
  at.remove();
});

snapshots("what cannot be written, read or kept leaves nothing and ends nothing", async () => {
  const at = testStore();
  const id = randomUUID();
  await shoot(takingOf(at, { append: () => [] }), id);
  await shoot(takingOf(at), id, id, Buffer.from("no picture"));
  await shoot(takingOf(at, { hasRoom: () => false }), id);
  assert.is(objectsOf(at).size, 0);
  const taking = takingOf(at);
  for (let i = 0; i < 20; i++) taking.take({ visit: id, subject: id, image: frame });
  await taking.settle();
  assert.is(objectsOf(at).size, 8, "four wait at the most");
  at.remove();
});

snapshots.run();
