import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { Camera } from "../../../edge/camera/frame.ts";
import { type PipelineParts, runPipeline } from "../../../edge/daemon/pipeline.ts";
import type { Actor } from "../../../edge/demo/cast.ts";
import { castFromGroups } from "../../../edge/demo/cast.ts";
import { composeVisit, emptyPorch } from "../../../edge/demo/scenes.ts";
import { storeVisitCrops } from "../../../edge/media/crops.ts";
import { enrol } from "../../../edge/recognition/enrol.ts";
import { createTracker } from "../../../edge/recognition/track.ts";
import { encodeJpeg } from "../../../edge/vision/image.ts";
import type { Vision } from "../../../edge/vision/vision.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { knownEntry, parseEntry } from "../../../shared/log/entry.ts";
import { enrolled, erased } from "../../support/facts.ts";
import { BUNDLED_PHOTOS, openDefaultVision } from "../../support/people.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const pipeline = suite("the pipeline");
let vision: Vision;
let ada: Actor;
let stranger: Actor;

pipeline.before(async () => {
  vision = await openDefaultVision();
  const actors = await castFromGroups(vision, BUNDLED_PHOTOS);
  const [first, second] = [
    actors.find(({ name }) => name === "Ada"),
    actors.find((actor) => actor.stranger),
  ];
  if (first === undefined || second === undefined) throw new Error("the cast has changed");
  [ada, stranger] = [first, second];
});
pipeline.after(() => vision.close());

const { monotonicMs, now } = systemClock;

/** Gives each picture when the one before it was looked at; a number is a wait, in ms. */
function cameraOf(steps: readonly (Buffer | number | (() => void))[]): Camera {
  const stats = { delivered: 0, dropped: 0, damaged: 0, restarts: 0, stalls: 0, frozen: 0 };
  return {
    name: "door",
    stats,
    async *[Symbol.asyncIterator]() {
      let index = 0;
      for (const step of steps) {
        if (typeof step === "number") await sleep(step);
        else if (typeof step === "function") step();
        else {
          const times = { capturedAtMs: now(), monotonicMs: monotonicMs() };
          yield { image: step, ...times, index: index++, source: "door" };
        }
      }
    },
  };
}

async function enrolAda(at: TestStore): Promise<string> {
  const person = randomUUID();
  const photos = ada.enrolment.map((bytes) => ({ name: "1.jpg", bytes, source: "photo" as const }));
  const thresholds = vision.pack.thresholds;
  const { gallery } = at.store;
  const options = { vision, gallery, thresholds, maxSidePx: 1280, newId: randomUUID };
  const { templates } = await enrol(person, photos, options, "cli:test", () => undefined);
  at.store.append([enrolled(person, "Ada"), ...templates]);
  return person;
}

async function run(
  { store }: TestStore,
  camera: Camera,
  { slowMs = 0, absentMs = 3_000, decideAfterMs = 1_000, framePeriodMs = 100 },
): Promise<void> {
  const slow: Vision = {
    ...vision,
    async analyse(...request) {
      await sleep(slowMs);
      return await vision.analyse(...request);
    },
  };
  const parts: PipelineParts = {
    vision: slow,
    gallery: store.gallery,
    tracker: createTracker({
      thresholds: vision.pack.thresholds,
      pack: vision.pack.id,
      samePerson: 0.908,
      samePersonElsewhere: 0.929,
      absentMs,
      decideAfterMs,
      framePeriodMs,
      newId: randomUUID,
    }),
    append: store.append,
    observer: { frame: () => undefined, event: () => undefined, damaged: () => undefined },
    logger: silentLogger,
    monotonicMs,
    maxSidePx: 1280,
    isErased: store.keyring.isErased,
    storeCrops: (crops) =>
      storeVisitCrops(crops, {
        ...{ files: store.mediaFiles, append: store.append, newId: randomUUID },
        logger: silentLogger,
      }),
    snapshots: null,
  };
  await runPipeline(camera, parts, new AbortController().signal);
}

function visitsIn({ store }: TestStore) {
  return store.log.readAfter(0, 1_000).flatMap(({ body }) => {
    const entry = body === null ? null : knownEntry(parseEntry(body));
    if (entry?.type === "visit.started") return ["started"];
    if (entry?.type === "visit.ended") return [`ended ${entry.data.outcome}`];
    return entry?.type === "visit.recognised" ? [`is ${entry.data.decision.outcome}`] : [];
  });
}

async function framesOf(actor: Actor, count: number): Promise<Buffer[]> {
  const { frames } = await composeVisit(await emptyPorch(), actor.looks, 0.4);
  const [frame = Buffer.alloc(0)] = frames;
  return Array<Buffer>(count).fill(frame);
}

pipeline("on a machine that takes longer for a frame than the absence has one visit", async () => {
  const at = testStore();
  await enrolAda(at);
  const empty = Array<Buffer>(3).fill(await encodeJpeg(await emptyPorch()));
  const frames = [...(await framesOf(ada, 4)), ...empty, ...(await framesOf(stranger, 3))];
  await run(at, cameraOf(frames), { slowMs: 500, absentMs: 300 });
  const known = ["started", "is known", "ended known"];
  assert.equal(visitsIn(at), [...known, "started", "is unknown", "ended unknown"]);
  at.remove();
});

pipeline("ends a visit when the camera gives nothing any more", async () => {
  const at = testStore();
  await enrolAda(at);
  const frames = await framesOf(ada, 2);
  let before: string[] = [];
  const look = (): void => {
    before = visitsIn(at);
  };
  await run(at, cameraOf([...frames, 1_200, look]), { absentMs: 400 });
  assert.equal(before, ["started", "is known", "ended known"]);
  at.remove();
});

pipeline("goes on when a person is erased between being seen and being decided", async () => {
  const at = testStore();
  const person = await enrolAda(at);
  const erase = (): void => void at.store.append([erased(person)]);
  const steps = [...(await framesOf(ada, 1)), erase, 700, ...(await framesOf(stranger, 3))];
  await run(at, cameraOf(steps), { decideAfterMs: 300 });
  assert.equal(visitsIn(at).sort(), [
    "ended unknown",
    "ended unknown",
    "is unknown",
    "is unknown",
    "started",
    "started",
  ]);
  const body = at.store.log.readAfter(0, 1_000).map((entry) => entry.body ?? "");
  const decided = body.filter((text) => text.includes('"type":"visit.recognised"'));
  assert.not(
    decided.some((text) => text.includes(person)),
    "and nothing is said of them",
  );
  at.remove();
});

pipeline.run();
