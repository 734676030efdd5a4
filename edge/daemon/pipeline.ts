/** Joins the rooms: frames → faces → decision → log. */

import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import type { Camera, Frame } from "../camera/frame.ts";
import type { VisitCrops } from "../media/crops.ts";
import type { Snapshots } from "../media/snapshots.ts";
import type { Sighting, TrackEvent, Tracker } from "../recognition/track.ts";
import type { Gallery } from "../vault/gallery.ts";
import { cropFace, encodeCrop } from "../vision/crop.ts";
import type { EmbeddedFace, RgbImage } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import type { Vision } from "../vision/vision.ts";

/** Where the time of one frame went, ms. */
export interface FrameTimes {
  readonly decodeMs: number;
  readonly detectMs: number;
  readonly alignMs: number;
  readonly embedMs: number;
  readonly matchMs: number;
  readonly totalMs: number;
}

/** Observer of the pipeline: status, telemetry, the demo. */
export interface PipelineObserver {
  /** A frame is worked on, until `done`. */
  began?(): void;
  done?(): void;
  /** A frame has reached its decisions. `faces` is empty for most frames. */
  frame(frame: Frame, image: RgbImage, sightings: readonly Sighting[], times: FrameTimes): void;
  /** So many faces of a frame were left out: more than are followed. */
  crowded?(faces: number): void;
  /** An entry was appended for this event. */
  event(event: TrackEvent, seq: number): void;
  /** A frame could not be read; the next one may be. */
  damaged(frame: Frame, error: PorchlightError): void;
}

export interface PipelineParts {
  readonly vision: Vision;
  readonly gallery: Pick<Gallery, "nearest">;
  readonly tracker: Tracker;
  /** Appends and waits until the projections have followed. */
  readonly append: (drafts: readonly AnyDraft[]) => readonly { readonly seq: number }[];
  readonly observer: PipelineObserver;
  readonly logger: Logger;
  readonly monotonicMs: () => number;
  /** Faces narrower than this many pixels are found in frames at most this large. */
  readonly maxSidePx: number;
  readonly isErased: (person: string) => boolean;
  /** Does not throw where the disk is full: they may be missing. */
  readonly storeCrops: (crops: VisitCrops) => Promise<void>;
  /** Null where none are wanted: then no frame is held either. */
  readonly snapshots: Pick<Snapshots, "take"> | null;
}

/** Who is compared in one look: the best person, the runner-up, and a few to explain it by. */
const CANDIDATES = 5;
/** How often visits are ended and decided while no frame comes. */
const TICK_MS = 250;
/** Faces of one frame that are embedded and followed: a crowd at a door, not a street behind it. */
const FACES_MAX = 16;

/** Runs until the camera ends or the signal is aborted; then every open visit is decided and ended. */
export async function runPipeline(
  camera: Camera,
  parts: PipelineParts,
  signal: AbortSignal,
): Promise<void> {
  // Appends follow each other: a tick never writes between the events of one frame.
  let writing: Promise<void> = Promise.resolve();
  const write = (events: readonly TrackEvent[]): Promise<void> => {
    writing = writing.then(() => appendEvents(events, parts));
    return writing;
  };
  let failure: unknown;
  // The time that a frame is worked on is nobody's absence: the tracker's clock stands still then.
  let waiting: { readonly frameMs: number; readonly sinceMs: number } | null = null;
  const ticker = setInterval(() => {
    if (waiting === null) return;
    const { frameMs, sinceMs } = waiting;
    const events = parts.tracker.tick(frameMs + parts.monotonicMs() - sinceMs);
    if (events.length > 0) write(events).catch((error: unknown) => (failure ??= error));
  }, TICK_MS);
  try {
    for await (const frame of camera) {
      if (failure !== undefined) throw failure;
      waiting = null;
      parts.observer.began?.();
      const sightings = await look(frame, parts);
      if (sightings !== null) {
        const image = parts.snapshots === null ? null : frame.image;
        await write(parts.tracker.observe({ ...placeOf(frame, camera), image }, sightings));
      }
      parts.observer.done?.();
      waiting = { frameMs: frame.monotonicMs, sinceMs: parts.monotonicMs() };
      if (signal.aborted) break;
    }
  } finally {
    clearInterval(ticker);
    await write(parts.tracker.finish());
  }
}

function placeOf({ index, capturedAtMs, monotonicMs }: Frame, { name }: Camera) {
  return { index, atMs: capturedAtMs, monotonicMs, source: name };
}

/** The faces of a frame, compared with the gallery; null when the frame cannot be read. */
async function look(frame: Frame, parts: PipelineParts): Promise<readonly Sighting[] | null> {
  const { vision, gallery, observer, maxSidePx } = parts;
  const started = performance.now();
  let image: RgbImage;
  try {
    image = await decodeImage(frame.image, { maxSidePx });
  } catch (error) {
    if (!(error instanceof PorchlightError)) throw error;
    observer.damaged(frame, error);
    parts.logger.warn("frame not readable", { camera: frame.source, reason: messageOf(error) });
    return null;
  }
  const decoded = performance.now();
  const { faces, leftOut, times } = await vision.analyse(image, FACES_MAX);
  if (leftOut > 0) observer.crowded?.(leftOut);
  const analysed = performance.now();
  const sightings = await Promise.all(
    faces.map((face) => sightingOf(face, image, vision, gallery)),
  );
  const matched = performance.now();
  observer.frame(frame, image, sightings, {
    ...times,
    decodeMs: decoded - started,
    matchMs: matched - analysed,
    totalMs: matched - started,
  });
  return sightings;
}

async function sightingOf(
  face: EmbeddedFace,
  image: RgbImage,
  { pack }: Vision,
  gallery: Pick<Gallery, "nearest">,
): Promise<Sighting> {
  const { box, quality, embedding } = face;
  const { widthPx, score, reasons } = quality;
  const seen = { box, widthPx, quality: score, reasons };
  if (!quality.usable) return { ...seen, look: null };
  const candidates = await gallery.nearest(pack.id, embedding, CANDIDATES);
  return { ...seen, look: { embedding, candidates, crop: cropFace(image, face) } };
}

async function appendEvents(events: readonly TrackEvent[], parts: PipelineParts): Promise<void> {
  const erased = new Set<string>();
  for (const given of events) {
    const event = stillKnown(given, parts, erased);
    const [cursor] = parts.append([draftOf(event)]);
    if (cursor === undefined) continue;
    parts.observer.event(event, cursor.seq);
    if (event.kind !== "recognised") continue;
    // After the decision, which does not wait for pictures.
    const { visit, revision, image } = event;
    const crops = await Promise.all(event.crops.map(encodeCrop));
    await parts.storeCrops({ visit, revision, crops });
    if (image !== null) parts.snapshots?.take({ visit, subject: visit, image });
  }
}

/**
 * The event, about the visit alone where its person was erased since. `erased` are the visits of
 * which that was found.
 */
function stillKnown(given: TrackEvent, parts: PipelineParts, erased: Set<string>): TrackEvent {
  const person = given.kind === "recognised" ? given.decision.person : null;
  if (person !== null && parts.isErased(person) && !erased.has(given.visit)) {
    parts.logger.info("visit of an erased person is logged as unknown", { visit: given.visit });
    parts.tracker.forget(person);
    erased.add(given.visit);
  }
  return erased.has(given.visit) ? withoutPerson(given) : given;
}

/** What is left of an event when the person it was about is nobody any more. */
function withoutPerson(event: TrackEvent): TrackEvent {
  if (event.kind === "started") return event;
  if (event.kind === "ended") {
    return event.outcome === "known" ? { ...event, outcome: "unknown" } : event;
  }
  const { decision } = event;
  const frames = decision.frames.map((frame) => ({ ...frame, template: null, score: null }));
  const nobody = {
    outcome: "unknown",
    person: null,
    score: null,
    runnerUp: null,
    margin: null,
  } as const;
  return { ...event, decision: { ...decision, ...nobody, frames } };
}

/**
 * What is kept of a visit is sealed under keys of the visit, whoever it was: its decision links it
 * to them, and who erases them follows that.
 */
function draftOf(event: TrackEvent): AnyDraft {
  const actor = "device";
  if (event.kind === "started") {
    const { visit, camera } = event;
    return { type: "visit.started", actor, data: { visit, camera } };
  }
  if (event.kind === "ended") {
    const { kind: _, ...data } = event;
    return { type: "visit.ended", actor, data };
  }
  const { visit, revision, decision } = event;
  const data = { visit, revision, decision };
  return { type: "visit.recognised", actor, subject: visit, data };
}
