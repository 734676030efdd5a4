/** From faces in frames to visits: a pure state machine whose clock is the frames' time. */
import type { Embedding } from "../../shared/log/embedding.ts";
import type { Decision } from "../../shared/log/entry.ts";
import type { Box, RgbImage } from "../vision/face.ts";
import { assign } from "./assignment.ts";
import type { Candidate, Thresholds } from "./match.ts";
import { createPace } from "./pace.ts";
import type { StillPictures } from "./still-pictures.ts";
import type { VisitBudget } from "./visit-budget.ts";
import {
  announce,
  decideWhenDue,
  endTrack,
  fitOf,
  forgetPerson,
  isVisit,
  see,
  startTrack,
  type Track,
} from "./visit-track.ts";

/** One face in one frame. */
export interface Sighting {
  readonly box: Box;
  readonly widthPx: number;
  /** 0 to 1. */
  readonly quality: number;
  readonly reasons: readonly string[];
  /** Null where the face is too poor to be matched; the reasons say why. */
  readonly look: {
    readonly embedding: Embedding;
    /** Most similar people, best first. */
    readonly candidates: readonly Candidate[];
    /** The face with some room around it. */
    readonly crop: RgbImage;
  } | null;
}

export interface SeenFrame {
  readonly index: number;
  readonly atMs: number;
  readonly monotonicMs: number;
  readonly source: string;
  /** As the camera gave it, where a snapshot of a visit may be wanted. */
  readonly image?: Buffer | null;
}

export interface TrackOptions {
  readonly thresholds: Thresholds;
  readonly pack: string;
  /** Below this similarity, a face in the same place is another person. */
  readonly samePerson: number;
  /** The same for a face in another place. */
  readonly samePersonElsewhere: number;
  /**
   * A visit ends when the frames of this long were looked at without its face: two at least, or the
   * misses of a slow camera would be departures.
   */
  readonly absentMs: number;
  /** A visit is decided at the latest this long after its first usable look. */
  readonly decideAfterMs: number;
  /** Between the frames that the camera was asked for; null where that is not known. */
  readonly framePeriodMs: number | null;
  /** How many visits the log takes; without one it takes all. */
  readonly budget?: VisitBudget;
  /** Pictures of faces, which are a visit once; without it each time. */
  readonly stills?: StillPictures;
  readonly newId: () => string;
}

export type TrackEvent =
  | { readonly kind: "started"; readonly visit: string; readonly camera: string }
  | {
      readonly kind: "recognised";
      readonly visit: string;
      readonly revision: number;
      readonly decision: Decision;
      readonly crops: readonly RgbImage[];
      /** The frame of the best look, encoded; null where it was taken already, or is not held. */
      readonly image: Buffer | null;
    }
  | {
      readonly kind: "ended";
      readonly visit: string;
      readonly reason: "absent" | "stopped";
      readonly durationMs: number;
      readonly frames: number;
      readonly outcome: Decision["outcome"];
    };

/** Frames held for all visits together; one is 100 to 600 kB, and of a photo a few MB. */
const IMAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Frames without a face before it can have left: a detector misses one now and then. */
const MISSES_MIN = 2;
/**
 * Faces that are followed at once: twice as many as are taken from one frame. With three crops of
 * 300 kB each they hold 30 MB at most.
 */
const TRACKS_MAX = 32;

export interface Tracker {
  /** Takes the faces of one frame, in the order of their time. */
  observe(frame: SeenFrame, sightings: readonly Sighting[]): TrackEvent[];
  /**
   * Decides what is due while no frame comes, and ends every visit when none has come for long.
   * `monotonicMs` is as the frames have it, less the time that the last one was worked on.
   */
  tick(monotonicMs: number): TrackEvent[];
  /** Decides and ends everything: the camera or the daemon stops. */
  finish(): TrackEvent[];
  /** A person who was erased is nobody any more, in open visits too. */
  forget(person: string): void;
  readonly open: number;
}

export function createTracker(options: TrackOptions): Tracker {
  let tracks: Track[] = [];
  const pace = createPace();
  const endSome = (gone: readonly Track[], reason: "absent" | "stopped"): TrackEvent[] => {
    tracks = tracks.filter((track) => !gone.includes(track));
    return gone.flatMap((track) => endTrack(track, reason, options));
  };
  return {
    get open() {
      return tracks.length;
    },
    observe(frame, sightings) {
      pace.frame(frame.monotonicMs);
      const seen = assignFaces(tracks, frame, sightings, options);
      const missing = tracks.filter((track) => !seen.includes(track));
      for (const track of missing) track.missed++;
      const now = frame.monotonicMs;
      const events = endSome(
        missing.filter((track) => hasLeft(track, now, options)),
        "absent",
      );
      tracks = [...new Set([...tracks, ...seen])];
      events.push(...endSome(crowdedOut(tracks), "absent"));
      events.push(...tracks.flatMap((track) => eventsOf(track, now, options)));
      holdFewer(tracks);
      return events;
    },
    tick(now) {
      const { absentMs, framePeriodMs } = options;
      if (pace.isSilent(now, absentMs, framePeriodMs)) return endSome(tracks, "absent");
      return tracks.flatMap((track) => decideWhenDue(track, now, options));
    },
    finish: () => endSome(tracks, "stopped"),
    forget(person) {
      for (const track of tracks) forgetPerson(track, person, options);
    },
  };
}

/** Gives every face of a frame to a track, all at once, and begins one for each that fits none. */
function assignFaces(
  tracks: readonly Track[],
  frame: SeenFrame,
  sightings: readonly Sighting[],
  options: TrackOptions,
): Track[] {
  const fits = sightings.map((sighting) => tracks.map((track) => fitOf(track, sighting, options)));
  const trackOf = assign(fits);
  const seen = sightings.map((sighting, i) => {
    const track = tracks[trackOf[i] ?? -1] ?? startTrack(frame, sighting, options);
    see(track, frame, sighting, options);
    return track;
  });
  for (const track of seen) {
    for (const other of seen) if (other !== track) track.companions.add(other);
  }
  return seen;
}

function eventsOf(track: Track, now: number, options: TrackOptions): TrackEvent[] {
  if (!isVisit(track)) return [];
  const started = announce(track, track.claim, options) ?? [];
  return [...started, ...decideWhenDue(track, now, options)];
}

function hasLeft({ missed, lastSeenMs }: Track, now: number, { absentMs }: TrackOptions): boolean {
  return missed >= MISSES_MIN && now - lastSeenMs >= absentMs;
}

/** Whoever was not seen for longest, where more are followed than there is room for. */
function crowdedOut(tracks: readonly Track[]): Track[] {
  const spare = tracks.length - TRACKS_MAX;
  if (spare <= 0) return [];
  return [...tracks].sort((a, b) => a.lastSeenMs - b.lastSeenMs).slice(0, spare);
}

/** A crowd in large pictures: the visits that began last go without one. */
function holdFewer(tracks: readonly Track[]): void {
  let bytes = 0;
  for (const track of tracks) {
    bytes += track.image?.length ?? 0;
    if (bytes > IMAGE_BYTES_MAX) track.image = null;
  }
}
