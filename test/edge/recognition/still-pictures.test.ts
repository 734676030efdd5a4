import * as assert from "uvu/assert";
import { createStillPictures, type SeenPicture } from "../../../edge/recognition/still-pictures.ts";
import type { Sighting } from "../../../edge/recognition/track.ts";
import { type Embedding, normalise } from "../../../shared/log/embedding.ts";
import { Door, face } from "../../support/door.ts";
import { randomEmbedding, seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const posters = suite("a picture of a face in view");
const random = seeded(26);
const POSTER = randomEmbedding(random);
const STRANGER = { score: 0.1 };

/** What a camera makes of the same thing again: noise. */
function noisy(embedding: Embedding, by = 0.02): Embedding {
  return normalise(embedding.map((value) => value + (random() - 0.5) * by));
}

function door(): { at: Door; told: SeenPicture[] } {
  const told: SeenPicture[] = [];
  return {
    at: new Door({
      stills: createStillPictures({ likeness: 0.8, told: (picture) => told.push(picture) }),
    }),
    told,
  };
}

/** Found for 1 s and then not for 4 s, so many times. */
function flicker(at: Door, times: number, sighting: () => Sighting): void {
  for (let i = 0; i < times; i++) {
    for (let frame = 0; frame < 10; frame++) at.see(sighting());
    for (let frame = 0; frame < 40; frame++) at.see();
  }
}

posters("is one visit however often it is found, and told once", () => {
  const { at, told } = door();
  flicker(at, 5, () => face(noisy(POSTER), { ...STRANGER, x: 100 + Math.round(random() * 3) }));
  assert.equal(at.kinds(), ["started", "recognised", "ended"]);
  assert.is(told.length, 1);
});

posters("hides nobody who stands before it, or comes there later", () => {
  const { at } = door();
  flicker(at, 2, () => face(noisy(POSTER), STRANGER));
  const visitor = randomEmbedding(random);
  flicker(at, 1, () => face(noisy(visitor), STRANGER));
  assert.equal(
    at.kinds(),
    [...Array(2)].flatMap(() => ["started", "recognised", "ended"]),
  );
});

posters("is none where its face moves: a stranger who comes again is a visit again", () => {
  const { at, told } = door();
  let x = 0;
  flicker(at, 3, () => face(noisy(POSTER), { ...STRANGER, x: 100 + (x++ % 10) * 8 }));
  assert.is(at.kinds().filter((kind) => kind === "started").length, 3);
  assert.is(told.length, 0);
});

posters("is none any more from the frame on in which it moves", () => {
  const { at } = door();
  flicker(at, 2, () => face(noisy(POSTER), STRANGER));
  at.see(face(noisy(POSTER), STRANGER));
  assert.is(at.kinds().filter((kind) => kind === "started").length, 1);
  at.see(face(noisy(POSTER), { ...STRANGER, x: 140 }));
  assert.is(at.kinds().filter((kind) => kind === "started").length, 2);
});

posters("never hides whoever is known", () => {
  const { at, told } = door();
  flicker(at, 3, () => face(noisy(POSTER), { score: 0.9 }));
  assert.is(at.kinds().filter((kind) => kind === "started").length, 3);
  assert.is(told.length, 0);
});

posters("is forgotten a day after it was taken down, and more than 16 are not kept", () => {
  const told: SeenPicture[] = [];
  const stills = createStillPictures({ likeness: 0.8, told: (picture) => told.push(picture) });
  const picture = (embedding: Embedding, monotonicMs: number): SeenPicture => ({
    camera: "door",
    box: { x: 1, y: 1, width: 50, height: 50 },
    embedding,
    monotonicMs,
  });
  stills.remember(picture(POSTER, 0));
  assert.is(stills.isOne({ ...picture(POSTER, 1), camera: "garden" }), false);
  assert.is(stills.isOne(picture(POSTER, 23 * 3_600_000)), true);
  assert.is(stills.isOne(picture(POSTER, 48 * 3_600_000)), false);
  for (let i = 0; i <= 16; i++) stills.remember(picture(randomEmbedding(random), i));
  stills.remember(picture(POSTER, 17));
  assert.is(stills.isOne(picture(POSTER, 18)), true);
});

posters.run();
