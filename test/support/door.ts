/** A door whose frames and faces are said one by one. */
import {
  createTracker,
  type Sighting,
  type TrackEvent,
  type Tracker,
  type TrackOptions,
} from "../../edge/recognition/track.ts";
import { blank } from "../../edge/vision/image.ts";
import type { Embedding } from "../../shared/log/embedding.ts";
import { PACK } from "./facts.ts";

export const PERSON_ADA = "00000000-0000-4000-8000-00000000000a";
export const PERSON_BOB = "00000000-0000-4000-8000-00000000000b";
const FRAME_MS = 100;

/** Frames at a steady pace; what a visitor looks like is said frame by frame. */
export class Door {
  #frame = 0;
  #visit = 0;
  readonly frameMs: number;
  readonly events: TrackEvent[] = [];
  readonly tracker: Tracker;

  constructor({
    frameMs = FRAME_MS,
    ...options
  }: Partial<TrackOptions> & { frameMs?: number } = {}) {
    this.frameMs = frameMs;
    this.tracker = createTracker({
      thresholds: { match: 0.5, margin: 0.05 },
      pack: PACK,
      samePerson: 0.6,
      samePersonElsewhere: 0.7,
      absentMs: 500,
      decideAfterMs: 300,
      framePeriodMs: frameMs,
      newId: () => `00000000-0000-4000-8000-00000000${String(this.#visit++).padStart(4, "0")}`,
      ...options,
    });
  }

  /** What the camera gives with each frame. */
  image: Buffer | null = null;

  see(...sightings: readonly Sighting[]): TrackEvent[] {
    const monotonicMs = this.#frame * this.frameMs;
    const frame = { index: this.#frame++, atMs: 1_790_000_000_000 + monotonicMs, monotonicMs };
    const seen = { ...frame, source: "door", image: this.image };
    const events = this.tracker.observe(seen, sightings);
    this.events.push(...events);
    return events;
  }

  kinds(): string[] {
    return this.events.map(({ kind }) => kind);
  }

  decisions() {
    return this.events.flatMap((event) => (event.kind === "recognised" ? [event.decision] : []));
  }
}

const CROP = blank(4, 4);

/** A face at a place; without an embedding it is too poor to match. */
export function face(
  embedding: Embedding | null,
  { x = 100, score = 0.8, person = PERSON_ADA, quality = 0.9, other = null as number | null } = {},
): Sighting {
  const best = { person, template: person, score };
  const next = { person: PERSON_BOB, template: PERSON_BOB, score: other ?? 0 };
  return {
    box: { x, y: 50, width: 80, height: 80 },
    widthPx: 80,
    quality,
    reasons: embedding === null ? ["blurred"] : [],
    look: embedding && {
      embedding,
      candidates: other === null ? [best] : [best, next],
      crop: CROP,
    },
  };
}

export const poor = (x = 100): Sighting => face(null, { x, quality: 0.1 });
