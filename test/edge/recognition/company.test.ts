import * as assert from "uvu/assert";
import { createVisitBudget } from "../../../edge/recognition/visit-budget.ts";
import { type Embedding, normalise } from "../../../shared/log/embedding.ts";
import { Door, face, PERSON_ADA } from "../../support/door.ts";
import { randomEmbedding, seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const tracking = suite("visits in company, and in their time");
const random = seeded(11);
const [ADA, BOB] = [randomEmbedding(random), randomEmbedding(random)];

/** A face of another person that is this much like Ada's. */
function lookAlike(cosineToAda: number): Embedding {
  const across = Math.sqrt(1 - cosineToAda ** 2);
  const dot = ADA.reduce((sum, value, i) => sum + value * (BOB[i] ?? 0), 0);
  const other = normalise(BOB.map((value, i) => value - dot * (ADA[i] ?? 0)));
  return normalise(ADA.map((value, i) => cosineToAda * value + across * (other[i] ?? 0)));
}

tracking("of a look-alike beside somebody known stays their own, however good the light", () => {
  const door = new Door();
  const alike = lookAlike(0.9);
  const ada = (x: number) => face(ADA, { x, score: 0.9, quality: 0.6 });
  const stranger = (x: number) => face(alike, { x, score: 0.49, quality: 0.95 });
  door.see(ada(100));
  for (let i = 0; i < 4; i++) door.see(ada(100), stranger(700));
  for (let i = 0; i < 4; i++) door.see(stranger(100), ada(250));
  for (let i = 0; i < 4; i++) door.see(stranger(100));
  door.events.push(...door.tracker.finish());
  assert.equal(
    door.decisions().map(({ outcome }) => outcome),
    ["known", "unknown"],
  );
  assert.equal(new Set(door.events.map(({ visit }) => visit)).size, 2);
  const ended = door.events.flatMap((e) => (e.kind === "ended" ? [e.frames] : []));
  assert.equal(ended, [9, 12], "each face in its own visit");
});

tracking("one person is not two people of one frame: the one less alike is unknown", () => {
  const door = new Door();
  const alike = lookAlike(0.5);
  for (let i = 0; i < 3; i++) door.see(face(alike, { x: 500, score: 0.6 }));
  assert.is(door.decisions()[0]?.outcome, "known", "alone it is taken for Ada");
  for (let i = 0; i < 3; i++) {
    door.see(face(alike, { x: 500, score: 0.6 }), face(ADA, { x: 100, score: 0.9 }));
  }
  assert.equal(
    door.decisions().map(({ outcome, score }) => [outcome, score]),
    [
      ["known", 0.6],
      ["unknown", null],
      ["known", 0.9],
    ],
  );
  for (let i = 0; i < 8; i++) door.see(face(alike, { x: 500, score: 0.6 }));
  assert.is(door.decisions().length, 3, "also when the known one has gone");
});

tracking("a look that is unlike the first ones is of somebody else, step by step as well", () => {
  const door = new Door();
  for (let i = 0; i <= 14; i++) door.see(face(lookAlike(1 - i * 0.08)));
  assert.is(door.tracker.open, 2);
});

for (const frameMs of [1_000, 1_600, 2_500, 5_000, 10_000]) {
  tracking(`of somebody who stays is one, with a frame every ${frameMs} ms`, () => {
    const door = new Door({ frameMs, absentMs: 3_000, decideAfterMs: 1_000 });
    for (let i = 0; i < 12; i++) {
      // A detector misses a face now and then.
      if (i === 5) door.see();
      else door.see(face(ADA));
      door.events.push(...door.tracker.tick(i * frameMs + frameMs - 1));
    }
    assert.equal(door.kinds(), ["started", "recognised"]);
    for (let i = 0; i < 4; i++) door.see();
    assert.equal(door.kinds(), ["started", "recognised", "ended"]);
  });
}

tracking("ends when the camera gives no frame for three of its frames, and for the absence", () => {
  const door = new Door({ frameMs: 5_000, absentMs: 3_000 });
  door.see(face(ADA));
  assert.equal(
    door.tracker.tick(14_999).map(({ kind }) => kind),
    ["recognised"],
  );
  assert.equal(
    door.tracker.tick(15_000).map(({ kind }) => kind),
    ["ended"],
  );
  const unpaced = new Door({ frameMs: 2_500, framePeriodMs: null, absentMs: 3_000 });
  for (let i = 0; i < 4; i++) unpaced.see(face(ADA));
  assert.is(unpaced.tracker.tick(7_500 + 7_499).length, 0, "the pace was seen");
  assert.is(unpaced.tracker.tick(7_500 + 7_500)[0]?.kind, "ended");
});

tracking("of a person who was erased since is of nobody", () => {
  const door = new Door();
  for (let i = 0; i < 3; i++) door.see(face(ADA));
  door.tracker.forget(PERSON_ADA);
  for (let i = 0; i < 3; i++) door.see();
  const [last] = door.tracker.finish().slice(-1);
  assert.is(last?.kind === "ended" && last.outcome, "unknown");
});

tracking(
  "is left out of the log where more come than it takes, and whoever is known is not",
  () => {
    const budget = createVisitBudget(() => 1);
    const door = new Door({ budget });
    const people = Array.from({ length: 8 }, () => randomEmbedding(random));
    for (let i = 0; i < 3; i++) {
      door.see(
        face(ADA, { x: 2_000 }),
        ...people.map((person, place) => face(person, { x: 200 * place, score: 0.1 })),
      );
    }
    door.events.push(...door.tracker.finish());
    assert.is(door.kinds().filter((kind) => kind === "started").length, 6);
    assert.is(budget.leftOut, 3);
    assert.ok(door.decisions().some(({ person }) => person === PERSON_ADA));
    assert.is(budget.take("others", 3_700_000), true, "an hour later there is room again");
    assert.is(budget.take("others", 3_700_000), false);
  },
);

tracking("a street of new faces all day costs bounded memory and entries", () => {
  const budget = createVisitBudget(() => 120);
  const door = new Door({ budget, frameMs: 10_000 });
  const faces = 8; // of 16 at most, a frame
  for (let frame = 0; frame < 8_640; frame++) {
    const street = Array.from({ length: faces }, (_, i) => {
      const around = Float32Array.from({ length: 8 }, () => random() - 0.5);
      return face(normalise(around) as Embedding, { x: 200 * i, score: 0.1 });
    });
    door.see(...street);
    assert.ok(door.tracker.open <= 32);
  }
  const started = door.kinds().filter((kind) => kind === "started").length;
  assert.ok(started <= 120 * 29, `${started} visits of a day`);
  assert.ok(started >= 120 * 24, `${started} visits of a day`);
  assert.ok(budget.leftOut > 1_000, `${budget.leftOut} left out`);
});

tracking.run();
