import * as assert from "uvu/assert";
import type { Sighting } from "../../../edge/recognition/track.ts";
import { normalise } from "../../../shared/log/embedding.ts";
import { decisionSchema } from "../../../shared/log/entry.ts";
import { Door, face, PERSON_ADA, PERSON_BOB, poor } from "../../support/door.ts";
import { PACK, randomEmbedding, seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const tracking = suite("a visit");
const random = seeded(11);
const [ADA, BOB] = [randomEmbedding(random), randomEmbedding(random)];

tracking("begins once, is decided once, and ends when its face is gone", () => {
  const door = new Door();
  for (let i = 0; i < 8; i++) door.see(face(ADA));
  for (let i = 0; i < 6; i++) door.see();
  assert.equal(door.kinds(), ["started", "recognised", "ended"]);
  const [started, , ended] = door.events;
  assert.is(started?.kind === "started" && started.camera, "door");
  assert.ok(ended?.kind === "ended");
  if (ended?.kind !== "ended") return;
  assert.is(ended.reason, "absent");
  assert.is(ended.frames, 8);
  assert.is(ended.durationMs, 700);
  assert.is(ended.outcome, "known");
  assert.is(door.tracker.open, 0);
});

tracking("is known after two looks that agree, not after one", () => {
  const door = new Door();
  door.see(face(ADA));
  assert.equal(door.kinds(), ["started"]);
  door.see(face(ADA));
  assert.equal(door.kinds(), ["started", "recognised"]);
});

tracking("with one look only is decided when the wait is over, also without another frame", () => {
  const door = new Door();
  door.see(face(ADA));
  assert.equal(door.tracker.tick(200), []);
  const [event] = door.tracker.tick(300);
  assert.is(event?.kind, "recognised");
});

tracking("of faces too poor to match is unusable, never unknown", () => {
  const door = new Door();
  for (let i = 0; i < 10; i++) door.see(poor());
  door.events.push(...door.tracker.finish());
  assert.equal(
    door.decisions().map(({ outcome }) => outcome),
    ["unusable"],
  );
  const [decision] = door.decisions();
  assert.is(decision?.seen, 10);
  assert.equal(decision?.refused, { blurred: 10 });
  assert.equal(decision?.frames, []);
  const last = door.events.at(-1);
  assert.is(last?.kind === "ended" && last.outcome, "unusable");
});

tracking("a glimpse too short and too poor leaves nothing at all", () => {
  const door = new Door();
  door.see(poor());
  door.see(poor());
  for (let i = 0; i < 6; i++) door.see();
  assert.equal(door.events, []);
  assert.is(door.tracker.open, 0);
});

tracking("poor faces among good ones do not change who it was", () => {
  const door = new Door();
  for (let i = 0; i < 4; i++) door.see(poor());
  for (let i = 0; i < 3; i++) door.see(face(ADA));
  for (let i = 0; i < 4; i++) door.see(poor());
  door.events.push(...door.tracker.finish());
  assert.equal(
    door.decisions().map(({ outcome }) => outcome),
    ["known"],
  );
});

tracking("of a stranger is unknown, of somebody between two people ambiguous", () => {
  const stranger = new Door();
  for (let i = 0; i < 4; i++) stranger.see(face(ADA, { score: 0.3 }));
  assert.is(stranger.decisions()[0]?.outcome, "unknown");
  assert.is(stranger.decisions()[0]?.person, null);
  const twin = new Door();
  for (let i = 0; i < 4; i++) twin.see(face(ADA, { score: 0.7, other: 0.69 }));
  assert.is(twin.decisions()[0]?.outcome, "ambiguous");
});

tracking("a later decision replaces one only when it says more", () => {
  const door = new Door();
  for (let i = 0; i < 4; i++) door.see(face(ADA, { score: 0.3, quality: 0.5 }));
  for (let i = 0; i < 8; i++) door.see(face(ADA, { score: 0.9, quality: 0.95 }));
  for (let i = 0; i < 8; i++) door.see(face(ADA, { score: 0.1, quality: 1 }));
  door.events.push(...door.tracker.finish());
  assert.equal(
    door.decisions().map(({ outcome }) => outcome),
    ["unknown", "known"],
  );
  const revisions = door.events.flatMap((e) => (e.kind === "recognised" ? [e.revision] : []));
  assert.equal(revisions, [1, 2]);
  const last = door.events.at(-1);
  assert.is(last?.kind === "ended" && last.outcome, "known");
});

tracking("two faces at once are two visits, also when they cross", () => {
  const door = new Door();
  const bob = (x: number): Sighting => face(BOB, { x, person: PERSON_BOB });
  for (let i = 0; i <= 10; i++) door.see(face(ADA, { x: 100 + 40 * i }), bob(500 - 40 * i));
  assert.is(door.tracker.open, 2);
  const people = door.decisions().map(({ person }) => person);
  assert.equal([...people].sort(), [PERSON_ADA, PERSON_BOB]);
});

tracking("another face in the same place is another visit", () => {
  const door = new Door();
  for (let i = 0; i < 3; i++) door.see(face(ADA));
  for (let i = 0; i < 3; i++) door.see(face(BOB, { person: PERSON_BOB }));
  assert.is(door.tracker.open, 2);
  const visits = new Set(door.events.map(({ visit }) => visit));
  assert.is(visits.size, 2);
});

tracking("a face that jumps is the same visit when it is alike", () => {
  const door = new Door();
  const alike = normalise(ADA.map((value) => value + (random() - 0.5) * 0.02));
  for (let i = 0; i < 4; i++) door.see(face(i % 2 === 0 ? ADA : alike, { x: 100 + 300 * (i % 2) }));
  assert.is(door.tracker.open, 1);
});

tracking("who is back before the wait is over has not left; after it, it is another visit", () => {
  const door = new Door();
  door.see(face(ADA));
  door.see(face(ADA));
  for (let i = 0; i < 3; i++) door.see();
  door.see(face(ADA));
  assert.not(door.kinds().includes("ended"));
  for (let i = 0; i < 6; i++) door.see();
  door.see(face(ADA));
  assert.is(door.kinds().filter((kind) => kind === "started").length, 2);
});

tracking("that is cut off by a stop is decided and ended then", () => {
  const door = new Door();
  door.see(face(ADA));
  const events = door.tracker.finish();
  assert.equal(
    events.map(({ kind }) => kind),
    ["recognised", "ended"],
  );
  const [, ended] = events;
  assert.is(ended?.kind === "ended" && ended.reason, "stopped");
  assert.equal(door.tracker.finish(), [], "once");
});

tracking(
  "keeps what explains its decision: frames, scores, thresholds, pack, and the refused",
  () => {
    const door = new Door();
    door.see(poor());
    door.see(face(ADA, { score: 0.7, quality: 0.6 }));
    door.see(face(ADA, { score: 0.9, quality: 0.8, other: 0.2 }));
    const [decision] = door.decisions();
    assert.ok(decision);
    assert.equal(decisionSchema.parse(decision), decision, "it fits into the log");
    assert.equal(decision?.thresholds, { match: 0.5, margin: 0.05 });
    assert.is(decision?.pack, PACK);
    assert.is(decision?.seen, 3);
    assert.equal(decision?.refused, { blurred: 1 });
    assert.equal(
      decision?.frames.map(({ index, score, template }) => [index, score, template]),
      [
        [2, 0.9, PERSON_ADA],
        [1, 0.7, PERSON_ADA],
      ],
    );
    const mean = (decision?.frames ?? []).reduce((sum, { score }) => sum + (score ?? 0), 0) / 2;
    assert.is(decision?.score, mean, "the frames give the score");
  },
);

tracking("keeps at most three crops, those of its best looks", () => {
  const door = new Door();
  for (let i = 0; i < 8; i++) door.see(face(ADA, { score: 0.3 }));
  const event = door.events.find(({ kind }) => kind === "recognised");
  assert.ok(event?.kind === "recognised" && event.crops.length === 3);
});

tracking("is told with the frame of its best look, once, and of poor faces with one too", () => {
  const door = new Door();
  const images = [1, 2, 3].map((size) => Buffer.alloc(size));
  for (const [i, quality] of [0.7, 0.9, 0.8].entries()) {
    door.image = images[i] ?? null;
    door.see(face(ADA, { quality, score: i === 2 ? 0.8 : 0.1 }));
  }
  door.events.push(...door.tracker.finish());
  const told = () => door.events.flatMap((e) => (e.kind === "recognised" ? [e.image?.length] : []));
  assert.equal(told(), [2]);
  door.events.length = 0;
  for (let i = 0; i < 4; i++) door.see(poor());
  door.events.push(...door.tracker.finish());
  assert.equal(told(), [3]);
});

tracking("frames are held for as many visits as there is memory for", () => {
  const door = new Door();
  door.image = Buffer.alloc(5 * 1024 * 1024);
  for (let i = 0; i < 3; i++) door.see(face(ADA, { x: 100 }), face(BOB, { x: 400 }));
  door.events.push(...door.tracker.finish());
  const told = door.events.flatMap((e) => (e.kind === "recognised" ? [e.image !== null] : []));
  assert.equal(told.filter(Boolean).length, 1);
});

tracking.run();
