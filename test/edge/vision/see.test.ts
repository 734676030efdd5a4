import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { cropFace, encodeCrop } from "../../../edge/vision/crop.ts";
import { decodeImage, resize } from "../../../edge/vision/image.ts";
import { buildPack } from "../../../edge/vision/packs/models.ts";
import { type Analysis, openVision, type Vision } from "../../../edge/vision/vision.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { cosine } from "../../../shared/log/embedding.ts";
import { ENTRY_BYTES_MAX } from "../../../shared/log/entry.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

/** The six photos that come with the weights: 18 faces, some of the same people. */
const PHOTOS = "node_modules/@vladmandic/face-api/demo";
const FACES = [3, 1, 3, 3, 5, 4];

const see = suite("default pack on real photos");
const models = tempFolder("models");
let vision: Vision;

see.before(async () => {
  await buildPack(models.path);
  vision = await openVision({
    packFolder: join(models.path, "default"),
    threads: 1,
    logger: silentLogger,
  });
});

see.after(async () => {
  await vision.close();
  models.remove();
});

const photo = (number: number) => decodeImage(readFileSync(`${PHOTOS}/sample${number}.jpg`));

see("finds the people in the photos, with five points inside their box", async () => {
  for (const [i, expected] of FACES.entries()) {
    const faces = await vision.detect(await photo(i + 1));
    assert.is(faces.length, expected, `sample${i + 1}`);
    for (const { points, box, landmarks } of faces) {
      assert.is(points.length, 10);
      assert.is(landmarks?.length, 136);
      assert.ok(Math.abs((points[4] ?? 0) - (box.x + box.width / 2)) < box.width / 2);
      assert.ok((points[0] ?? 0) < (points[2] ?? 0), "the image's left eye comes first");
    }
  }
});

see("embeds the same with and without what detection kept", async () => {
  const image = await photo(1);
  const faces = await vision.detect(image);
  const [first] = await vision.embed(image, faces);
  const [again] = await vision.embed(image, structuredClone(faces));
  assert.ok(first && again);
  assert.ok(cosine(first, again) > 0.999_999);
  assert.is(first.length, vision.pack.dimension);
});

see("knows a face again in its enrolment crop", async () => {
  const { faces } = await vision.analyse(await photo(1));
  for (const face of faces) {
    const kept = await decodeImage(await encodeCrop(cropFace(await photo(1), face)));
    const { faces: found } = await vision.analyse(kept);
    const best = Math.max(...found.map(({ embedding }) => cosine(embedding, face.embedding)));
    assert.ok(best > vision.pack.thresholds.match, `cosine ${best}`);
  }
});

see("keeps a small crop of its own, however large the face and its picture are", async () => {
  const image = await resize(await photo(1), 1900, 1900);
  const [face] = await vision.detect(image);
  assert.ok(face);
  const kept = cropFace(image, { box: { x: -50, y: 0, width: 1800, height: 1700 } });
  assert.is(Math.max(kept.width, kept.height), 320);
  assert.is(kept.data.buffer.byteLength, kept.width * kept.height * 3, "not a part of the frame");
  const noise = { data: new Uint8Array(randomBytes(320 * 320 * 3)), width: 320, height: 320 };
  const three = 3 * (await encodeCrop(noise)).toString("base64").length;
  assert.ok(three < ENTRY_BYTES_MAX * 0.95, "three of the worst crops fit into one entry");
});

see("keeps overlapping calls apart", async () => {
  const images = await Promise.all([1, 2, 3].map(photo));
  const alone: Analysis[] = [];
  for (const image of images) alone.push(await vision.analyse(image));
  const together = await Promise.all(images.map((image) => vision.analyse(image)));
  together.forEach(({ faces }, i) => {
    assert.equal(
      faces.map(({ embedding }) => [...embedding]),
      alone[i]?.faces.map(({ embedding }) => [...embedding]),
    );
  });
});

see.run();
