/** The main job on real photos: enrol some people, replay visits through the real daemon, prove it. */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../shared/core/clock.ts";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { feedPath, signingKeyPath } from "../config/paths.ts";
import { type DeviceConfig, deviceConfigSchema } from "../config/schema.ts";
import { runDaemon } from "../daemon/daemon.ts";
import type { FrameTimes } from "../daemon/pipeline.ts";
import { startFeed } from "../feed/feed.ts";
import { bootId } from "../host/boot-id.ts";
import { silentNotifier } from "../host/sd-notify.ts";
import { VERSION } from "../host/version.ts";
import { enrol } from "../recognition/enrol.ts";
import { thresholdsOf } from "../recognition/thresholds.ts";
import type { Sighting, TrackEvent } from "../recognition/track.ts";
import { announcing } from "../store/announcing.ts";
import { createStore } from "../store/create-store.ts";
import { openStore, type Store, type StoreOptions } from "../store/open-store.ts";
import type { Box, RgbImage } from "../vision/face.ts";
import { encodeJpeg } from "../vision/image.ts";
import type { Vision } from "../vision/vision.ts";
import type { Actor } from "./cast.ts";
import type { CentralVisit, DemoCentre } from "./centre.ts";
import { contactSheet } from "./contact-sheet.ts";
import { composeVisit, emptyPorch } from "./scenes.ts";
import { isSealed } from "./sealed.ts";

export interface DemoOptions {
  readonly folder: string;
  readonly actors: readonly Actor[];
  readonly modelsFolder: string;
  readonly pack: string;
  readonly signal: AbortSignal;
  /** Where the log goes to; null without one. */
  readonly centre: DemoCentre | null;
  /** Called with progress. */
  readonly note: (text: string) => void;
  readonly progress: (label: string, done: number, total: number) => void;
}

export interface DemoVisit {
  readonly came: string;
  readonly stranger: boolean;
  readonly outcome: string;
  readonly who: string | null;
  readonly score: number | null;
  readonly margin: number | null;
  readonly msPerFrame: FrameTimes | null;
  /** Known people are known by their own name; strangers are not anybody. */
  readonly right: boolean;
  /** From the door until it was in the centre's database; null where it is not. */
  readonly arrivedAfterMs: number | null;
}

export interface DemoResult {
  readonly enrolled: number;
  readonly visits: readonly DemoVisit[];
  readonly logEntries: number;
  readonly logWhole: boolean;
  /** Opening the store with another key, and looking for a known name in its bytes, both failed. */
  readonly sealed: boolean;
  readonly sheet: string;
  /** What the centre holds; null without one. */
  readonly centre: { readonly visits: number; readonly whole: boolean } | null;
}

const FRAMES_PER_SECOND = 12;
/** Frames of an empty porch between visits: longer than `absentMs`. */
const EMPTY_FRAMES = 10;
const ABSENT_MS = 700;
const VISITS_MAX = 1_000;

interface Shot {
  readonly image: RgbImage;
  readonly box: Box;
  readonly times: FrameTimes;
}

export async function runDemo(vision: Vision, options: DemoOptions): Promise<DemoResult> {
  const { folder, actors, note, centre } = options;
  const storeOptions: StoreOptions = {
    folder,
    logKey: randomBytes(32),
    vaultKey: randomBytes(32),
    clock: systemClock,
    // Door and centre have the same clock here, right or wrong.
    clockState: () => "synced",
    newId: randomUUID,
  };
  createStore(storeOptions);
  const opened = openStore(storeOptions);
  const feed = startFeed({
    ...{ folder, logKey: storeOptions.logKey, logger: silentLogger, random: Math.random },
    path: feedPath(deviceConfigSchema.parse({ data: folder })),
    signingKeyPath: signingKeyPath({ data: folder }),
  });
  const store = announcing(opened, feed);
  try {
    await feed.ready;
    await centre?.join(deviceOf(store));
    const config = await prepare(vision, store, options);
    note("replaying the scenes through the daemon …");
    const shots = new Map<number, Shot>();
    const actorOf = await replay(config, store, options, shots);
    const arrived = (await centre?.visits(store.visits.list(VISITS_MAX).length)) ?? [];
    const visits = actors.map((actor, i) => visitOf(actor, i, store, actorOf, { shots, arrived }));
    const report = store.log.verify([{ ...store.followed(), from: "the vault" }]);
    const sheet = join(folder, "contact-sheet.png");
    writeFileSync(sheet, await drawSheet(actors, visits, actorOf, shots));
    return {
      enrolled: store.gallery.people().length,
      visits: visits.map(({ visit }) => visit),
      logEntries: report.entries,
      logWhole: report.fault === null,
      sealed: isSealed(storeOptions, actors),
      sheet,
      centre: centre && { visits: arrived.length, whole: await centre.verified() },
    };
  } finally {
    await feed.stop();
    opened.close();
  }
}

/** The id of this store's device. */
function deviceOf({ latest }: Store): string {
  const opened = latest.of("store.opened");
  invariant(opened !== null, "a log begins by saying whose it is");
  return opened.data.device;
}

/** Enrols, composes the scenes as files, and gives the configuration that replays them. */
async function prepare(vision: Vision, store: Store, options: DemoOptions): Promise<DeviceConfig> {
  const { folder, actors, modelsFolder, pack, note, progress } = options;
  const config = deviceConfigSchema.parse({
    data: folder,
    models: { directory: modelsFolder, pack },
    recognition: { absentMs: ABSENT_MS },
    camera: {
      kind: "files",
      name: "demo-door",
      paths: [join(folder, "scenes")],
      framesPerSecond: FRAMES_PER_SECOND,
      everyFrame: true,
    },
  });
  for (const actor of actors) await enrolActor(actor, vision, store, config);
  note(
    `enrolled ${store.gallery.people().length} people, ${store.gallery.templates().length} templates`,
  );
  const scenes = join(folder, "scenes");
  mkdirSync(scenes);
  const porch = await emptyPorch();
  const empty = await encodeJpeg(porch);
  let frame = 0;
  const save = (jpeg: Buffer, label: string): void => {
    writeFileSync(join(scenes, `${String(frame++).padStart(4, "0")}-${label}.jpg`), jpeg);
  };
  for (const [i, { looks }] of actors.entries()) {
    const { frames } = await composeVisit(porch, looks, (i * 0.37) % 1);
    for (const jpeg of frames) save(jpeg, sceneLabel(i));
    for (let gap = 0; gap < EMPTY_FRAMES; gap++) save(empty, "empty");
    progress("composing scenes", i + 1, actors.length);
  }
  return config;
}

function sceneLabel(actor: number): string {
  return `visit${actor}`;
}

async function enrolActor(actor: Actor, vision: Vision, store: Store, config: DeviceConfig) {
  if (actor.stranger) return;
  const person = randomUUID();
  const photos = actor.enrolment.map((bytes, i) => ({
    name: `${actor.name} ${i + 1}`,
    bytes,
    source: "photo" as const,
  }));
  const { templates } = await enrol(
    person,
    photos,
    {
      vision,
      gallery: store.gallery,
      thresholds: thresholdsOf(config.recognition, vision.pack),
      maxSidePx: config.recognition.maxSidePx,
      newId: randomUUID,
    },
    "cli:demo",
    () => undefined,
  );
  if (templates.length === 0) return;
  const personal = { profile: { name: actor.name } };
  store.append([
    { type: "person.enrolled", actor: "cli:demo", subject: person, data: {}, personal },
    ...templates,
  ]);
}

/** Runs the daemon over the scenes; returns which actor each visit was about. */
async function replay(
  config: DeviceConfig,
  store: Store,
  options: DemoOptions,
  shots: Map<number, Shot>,
): Promise<Map<number, TrackEvent & { kind: "recognised" }>> {
  const actorOfFrame = new Map<number, number>();
  const decided = new Map<number, TrackEvent & { kind: "recognised" }>();
  const best = (sightings: readonly Sighting[]): Sighting | undefined =>
    [...sightings].sort((a, b) => b.quality - a.quality)[0];
  await runDaemon(
    {
      config: () => config,
      store,
      clock: systemClock,
      newId: randomUUID,
      random: Math.random,
      path: "",
      logger: silentLogger,
      notifier: silentNotifier,
      version: VERSION,
      boot: bootId(),
      emit: () => undefined,
      watch: {
        frame(frame, image, sightings, times) {
          const actor = Number(/-visit(\d+)\.jpg$/.exec(frame.source)?.[1] ?? -1);
          options.progress("frames", frame.index + 1, options.actors.length * (6 + EMPTY_FRAMES));
          const face = best(sightings);
          if (actor < 0 || face === undefined) return;
          actorOfFrame.set(frame.index, actor);
          shots.set(actor, { image, box: face.box, times });
        },
        event(event) {
          if (event.kind !== "recognised") return;
          const actor = actorOfFrame.get(event.decision.frames[0]?.index ?? -1);
          if (actor !== undefined) decided.set(actor, event);
        },
        damaged: (_, error) => options.note(error.message),
      },
    },
    options.signal,
  );
  if (options.signal.aborted) throw new PorchlightError("demo.stopped", "the demo was stopped");
  return decided;
}

function visitOf(
  actor: Actor,
  index: number,
  store: Store,
  decided: Map<number, TrackEvent & { kind: "recognised" }>,
  { shots, arrived }: { shots: Map<number, Shot>; arrived: readonly CentralVisit[] },
): { readonly visit: DemoVisit; readonly box: Box | null } {
  const event = decided.get(index);
  const decision = event?.decision;
  const person = decision?.person == null ? null : store.gallery.person(decision.person);
  const who = person?.name ?? null;
  const outcome = decision?.outcome ?? "no visit";
  const right = actor.stranger ? outcome !== "known" : who === actor.name;
  const shot = shots.get(index);
  return {
    visit: {
      came: actor.name,
      stranger: actor.stranger,
      outcome,
      who,
      score: decision?.score ?? null,
      margin: decision?.margin ?? null,
      msPerFrame: shot?.times ?? null,
      right,
      arrivedAfterMs: arrived.find(({ visit }) => visit === event?.visit)?.delayMs ?? null,
    },
    box: shot?.box ?? null,
  };
}

async function drawSheet(
  actors: readonly Actor[],
  visits: readonly { readonly visit: DemoVisit }[],
  decided: Map<number, TrackEvent & { kind: "recognised" }>,
  shots: Map<number, Shot>,
): Promise<Buffer> {
  const tiles = actors.flatMap((_, i) => {
    const shot = shots.get(i);
    const decision = decided.get(i)?.decision;
    const visit = visits[i]?.visit;
    if (shot === undefined || decision === undefined || visit === undefined) return [];
    const who = visit.who ?? decision.outcome;
    const score = decision.score === null ? "" : ` ${decision.score.toFixed(4)}`;
    const margin = decision.margin === null ? "" : ` (+${decision.margin.toFixed(4)})`;
    const { image, box } = shot;
    return [{ image, box, caption: `${who}${score}${margin}`, outcome: decision.outcome }];
  });
  return await contactSheet(tiles);
}
