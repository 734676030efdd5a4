/** From faces in frames to visits: a pure state machine whose clock is the frames' time. */
import { cosine, type Embedding } from "../../shared/log/embedding.ts";
import type { Decision } from "../../shared/log/entry.ts";
import { overlap } from "../vision/detection.ts";
import type { Box, RgbImage } from "../vision/face.ts";
import {
  type Candidate,
  decide,
  EVIDENCE_LIMIT,
  type Evidence,
  type FaceMatch,
  round,
  type Thresholds,
} from "./match.ts";

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
  /** A visit ends when its face was not seen for this long. */
  readonly absentMs: number;
  /** A visit is decided at the latest this long after its first usable look. */
  readonly decideAfterMs: number;
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

interface Look extends Evidence {
  readonly frame: Omit<SeenFrame, "image">;
  readonly widthPx: number;
  readonly embedding: Embedding;
  readonly crop: RgbImage;
}

interface Track {
  readonly visit: string;
  readonly camera: string;
  readonly firstSeenMs: number;
  announced: boolean;
  lastSeenMs: number;
  lastBox: Box;
  frames: number;
  looks: Look[];
  readonly refused: Record<string, number>;
  verdict: FaceMatch | null;
  revision: number;
  /** The frame of its best look, until it was taken. */
  image: Buffer | null;
  /** Of the best face that was too poor to be matched: a visit without a look has a picture too. */
  poorQuality: number;
}

/** Looks that agree before a visit is decided early. */
const AGREEING_LOOKS = 2;
/** Looks that are enough to decide, agreeing or not. */
const ENOUGH_LOOKS = 3;
/** Best looks kept of one visit: what decides, and some to choose from. */
const LOOKS_KEPT = 12;
/** Crops sealed with a decision, so that a visitor can be enrolled later. */
const CROPS_KEPT = 3;
/** A face that is never good enough is a visit only when it stays for this many frames. */
const POOR_FRAMES = 3;
/** The same face in the next frame overlaps its last box at least this much (IoU). */
const OVERLAP_MIN = 0.3;
/** Frames held for all visits together; one is 100 to 600 kB, and of a photo a few MB. */
const IMAGE_BYTES_MAX = 8 * 1024 * 1024;
/** A visit is decided anew at most this often. */
const REVISIONS_MAX = 4;

/** The rank of a decision; a later one replaces an earlier one only when it ranks higher. */
const WEIGHT = { unusable: 0, unknown: 1, ambiguous: 2, known: 3 } as const;

export interface Tracker {
  /** Takes the faces of one frame, in the order of their time. */
  observe(frame: SeenFrame, sightings: readonly Sighting[]): TrackEvent[];
  /** Ends and decides what is due, also when no frame comes. */
  tick(monotonicMs: number): TrackEvent[];
  /** Decides and ends everything: the camera or the daemon stops. */
  finish(): TrackEvent[];
  readonly open: number;
}

export function createTracker(options: TrackOptions): Tracker {
  let tracks: Track[] = [];
  const due = (now: number): TrackEvent[] => {
    const ended = tracks.filter(({ lastSeenMs }) => now - lastSeenMs >= options.absentMs);
    tracks = tracks.filter((track) => !ended.includes(track));
    return [
      ...ended.flatMap((track) => end(track, "absent", options)),
      ...tracks.flatMap((track) => decideWhenDue(track, now, options)),
    ];
  };
  return {
    get open() {
      return tracks.length;
    },
    observe(frame, sightings) {
      const events = due(frame.monotonicMs);
      const free = new Set(tracks);
      for (const sighting of [...sightings].sort((a, b) => b.quality - a.quality)) {
        const found = [...free]
          .map((track) => ({ track, fit: fitOf(track, sighting, options.samePerson) }))
          .sort((a, b) => b.fit - a.fit)[0];
        const track =
          found !== undefined && found.fit > 0 ? found.track : start(frame, sighting, options);
        if (!tracks.includes(track)) tracks.push(track);
        free.delete(track);
        events.push(...see(track, frame, sighting, options));
      }
      holdFewer(tracks);
      return events;
    },
    tick: due,
    finish() {
      const events = tracks.flatMap((track) => end(track, "stopped", options));
      tracks = [];
      return events;
    },
  };
}

function start(frame: SeenFrame, sighting: Sighting, { newId }: TrackOptions): Track {
  return {
    visit: newId(),
    camera: frame.source,
    firstSeenMs: frame.monotonicMs,
    announced: false,
    lastSeenMs: frame.monotonicMs,
    lastBox: sighting.box,
    frames: 0,
    looks: [],
    refused: {},
    verdict: null,
    revision: 0,
    image: null,
    poorQuality: 0,
  };
}

/**
 * How well a face fits a track: by likeness where both have been seen well, else by place.
 * 0 is not at all. Place alone never joins two faces that are known to differ.
 */
function fitOf(track: Track, { box, look }: Sighting, samePerson: number): number {
  const place = overlap(track.lastBox, box);
  if (look === null || track.looks.length === 0) return place >= OVERLAP_MIN ? place : 0;
  const likeness = Math.max(
    ...track.looks.map(({ embedding }) => cosine(embedding, look.embedding)),
  );
  return likeness >= samePerson ? 1 + likeness : 0;
}

function see(
  track: Track,
  frame: SeenFrame,
  sighting: Sighting,
  options: TrackOptions,
): TrackEvent[] {
  track.lastSeenMs = frame.monotonicMs;
  track.lastBox = sighting.box;
  track.frames++;
  for (const reason of sighting.reasons) track.refused[reason] = (track.refused[reason] ?? 0) + 1;
  const { look, quality, widthPx } = sighting;
  const { image = null, ...place } = frame;
  if (look === null && track.looks.length === 0 && quality >= track.poorQuality) {
    track.poorQuality = quality;
    track.image = image;
  }
  if (look !== null) {
    const seen: Look = { ...look, frame: place, quality, widthPx };
    track.looks = [...track.looks, seen].sort((a, b) => b.quality - a.quality).slice(0, LOOKS_KEPT);
    if (track.looks[0] === seen) track.image = image;
  }
  if (track.looks.length === 0 && track.frames < POOR_FRAMES) return [];
  return [...announce(track), ...decideWhenDue(track, frame.monotonicMs, options)];
}

/** A crowd in large pictures: the visits that began last go without one. */
function holdFewer(tracks: readonly Track[]): void {
  let bytes = 0;
  for (const track of tracks) {
    bytes += track.image?.length ?? 0;
    if (bytes > IMAGE_BYTES_MAX) track.image = null;
  }
}

function announce(track: Track): TrackEvent[] {
  if (track.announced) return [];
  track.announced = true;
  return [{ kind: "started", visit: track.visit, camera: track.camera }];
}

function decideWhenDue(track: Track, now: number, options: TrackOptions): TrackEvent[] {
  if (track.looks.length === 0) return [];
  const verdict = decide(track.looks, options.thresholds);
  const agreed = verdict.outcome === "known" && track.looks.length >= AGREEING_LOOKS;
  const enough = track.looks.length >= ENOUGH_LOOKS;
  const waited = now - track.firstSeenMs >= options.decideAfterMs;
  return agreed || enough || waited ? announceDecision(track, verdict, options) : [];
}

function announceDecision(track: Track, verdict: FaceMatch, options: TrackOptions): TrackEvent[] {
  const before = track.verdict;
  const saysMore = before === null || WEIGHT[verdict.outcome] > WEIGHT[before.outcome];
  if (!saysMore || track.revision >= REVISIONS_MAX) return [];
  track.verdict = verdict;
  track.revision++;
  const { image } = track;
  track.image = null;
  return [
    {
      kind: "recognised",
      visit: track.visit,
      revision: track.revision,
      decision: explain(track, verdict, options),
      crops: track.looks.slice(0, CROPS_KEPT).map(({ crop }) => crop),
      image,
    },
  ];
}

/** A short glimpse that was never usable and never announced leaves nothing. */
function end(track: Track, reason: "absent" | "stopped", options: TrackOptions): TrackEvent[] {
  if (!track.announced) return [];
  const last = announceDecision(track, decide(track.looks, options.thresholds), options);
  const { visit, frames, firstSeenMs, lastSeenMs, verdict } = track;
  const durationMs = lastSeenMs - firstSeenMs;
  const outcome = verdict?.outcome ?? "unusable";
  return [...last, { kind: "ended", visit, reason, durationMs, frames, outcome }];
}

function explain(track: Track, verdict: FaceMatch, { thresholds, pack }: TrackOptions): Decision {
  const about = verdict.person ?? track.looks[0]?.candidates[0]?.person;
  return {
    ...verdict,
    thresholds: { match: thresholds.match, margin: thresholds.margin },
    pack,
    frames: track.looks.slice(0, EVIDENCE_LIMIT).map(({ frame, widthPx, quality, candidates }) => {
      const own = candidates.find(({ person }) => person === about);
      return {
        index: frame.index,
        atMs: frame.atMs,
        widthPx: Math.round(widthPx),
        quality: round(quality),
        template: own?.template ?? null,
        score: own?.score ?? null,
      };
    }),
    seen: track.frames,
    refused: { ...track.refused },
  };
}
