/** One face followed through frames: what is kept of it, and when it is decided. */
import { cosine, type Embedding } from "../../shared/log/embedding.ts";
import type { Decision } from "../../shared/log/entry.ts";
import { overlap } from "../vision/detection.ts";
import type { Box, RgbImage } from "../vision/face.ts";
import { decide, EVIDENCE_LIMIT, type Evidence, type FaceMatch, round } from "./match.ts";
import { type SeenPicture, STILL_OVERLAP } from "./still-pictures.ts";
import type { SeenFrame, Sighting, TrackEvent, TrackOptions } from "./track.ts";

interface Look extends Evidence {
  readonly frame: Omit<SeenFrame, "image">;
  readonly widthPx: number;
  /** Null for a look that is not among the best, which alone are sealed. */
  readonly crop: RgbImage | null;
}

export interface Track {
  readonly visit: string;
  readonly camera: string;
  readonly firstSeenMs: number;
  /** Whether the log knows of it. */
  announced: boolean;
  lastSeenMs: number;
  /** Frames that were looked at since, without it. */
  missed: number;
  lastBox: Box;
  readonly firstBox: Box;
  /** Whether its face has been elsewhere: that of a picture has not. */
  moved: boolean;
  /** Whether all its looks show a picture that was a visit before. */
  still: boolean;
  frames: number;
  looks: Look[];
  /** Of its first looks: who it is that is followed. */
  readonly anchors: Embedding[];
  readonly refused: Record<string, number>;
  verdict: FaceMatch | null;
  revision: number;
  /** The frame of its best look, until it was taken. */
  image: Buffer | null;
  /** Of the best face that was too poor to be matched: a visit without a look has a picture too. */
  poorQuality: number;
  /** Whom its own looks say it is, whoever else is there. */
  claim: FaceMatch | null;
  /** Faces that were in one frame with it, and are followed still: other people. */
  readonly companions: Set<Track>;
  /** Whom those claimed to be that are gone, and how surely. */
  readonly rivals: Map<string, number>;
  /** Whether it was left out of the log so far. */
  leftOut: boolean;
}

/** Looks that agree before a visit is decided early. */
const AGREEING_LOOKS = 2;
/** Looks that are enough to decide, agreeing or not. */
const ENOUGH_LOOKS = 3;
/** Best looks kept of one visit: what decides, and some to choose from. */
const LOOKS_KEPT = 12;
/** Crops sealed with a decision, so that a visitor can be enrolled later. */
const CROPS_KEPT = 3;
/** First looks that later ones are compared with: a track that drifts would end as somebody else. */
const ANCHORS = 3;
/** A face that is never good enough is a visit only when it stays for this many frames. */
const POOR_FRAMES = 3;
/** The same face in the next frame overlaps its last box at least this much (IoU). */
const OVERLAP_MIN = 0.3;
/** Likeness counts this many times as much as place: who steps aside is not who takes the place. */
const LIKENESS_WEIGHT = 3;
/** A visit is decided anew at most this often. */
const REVISIONS_MAX = 4;

/** The rank of a decision; a later one replaces an earlier one only when it ranks higher. */
const WEIGHT = { unusable: 0, unknown: 1, ambiguous: 2, known: 3 } as const;

export function startTrack(
  frame: SeenFrame,
  sighting: Sighting,
  { newId }: Pick<TrackOptions, "newId">,
): Track {
  return {
    visit: newId(),
    camera: frame.source,
    firstSeenMs: frame.monotonicMs,
    announced: false,
    lastSeenMs: frame.monotonicMs,
    missed: 0,
    lastBox: sighting.box,
    firstBox: sighting.box,
    moved: false,
    still: false,
    frames: 0,
    looks: [],
    anchors: [],
    refused: {},
    verdict: null,
    revision: 0,
    image: null,
    poorQuality: 0,
    claim: null,
    companions: new Set(),
    rivals: new Map(),
    leftOut: false,
  };
}

/**
 * How well a face fits a track, 0 for not at all: the overlap of the boxes, and how alike the face
 * is to the first looks. Where both have been seen well they have to be alike, and more so where the
 * place says nothing; else the place alone has to do.
 */
export function fitOf(track: Track, { box, look }: Sighting, options: TrackOptions): number {
  const { samePerson, samePersonElsewhere } = options;
  const place = overlap(track.lastBox, box);
  const there = place >= OVERLAP_MIN;
  if (look === null || track.anchors.length === 0) return there ? place : 0;
  const likeness = Math.max(...track.anchors.map((anchor) => cosine(anchor, look.embedding)));
  if (likeness < (there ? samePerson : samePersonElsewhere)) return 0;
  return place + LIKENESS_WEIGHT * Math.max((likeness - samePerson) / (1 - samePerson), 0.001);
}

/** Takes one face of a frame; what follows for the log is asked for once the whole frame is in. */
export function see(
  track: Track,
  frame: SeenFrame,
  sighting: Sighting,
  { thresholds, stills }: TrackOptions,
): void {
  track.lastSeenMs = frame.monotonicMs;
  track.missed = 0;
  track.lastBox = sighting.box;
  track.moved ||= overlap(track.firstBox, sighting.box) < STILL_OVERLAP;
  track.frames++;
  for (const reason of sighting.reasons) track.refused[reason] = (track.refused[reason] ?? 0) + 1;
  const { look, quality, widthPx } = sighting;
  const { image = null, ...place } = frame;
  if (look === null && track.looks.length === 0 && quality >= track.poorQuality) {
    track.poorQuality = quality;
    track.image = image;
  }
  if (look === null) return;
  const { embedding, candidates, crop } = look;
  const seen: Look = { candidates, crop, frame: place, quality, widthPx };
  const isFirst = track.anchors.length === 0;
  if (isFirst || track.still) track.still = stills?.isOne(pictureOf(track, embedding)) === true;
  if (track.anchors.length < ANCHORS) track.anchors.push(embedding);
  track.looks = [...track.looks, seen]
    .sort((a, b) => b.quality - a.quality)
    .slice(0, LOOKS_KEPT)
    .map((kept, i) => (i < CROPS_KEPT || kept.crop === null ? kept : { ...kept, crop: null }));
  if (track.looks[0]?.frame === place) track.image = image;
  track.claim = decide(track.looks, thresholds);
}

function pictureOf({ camera, lastBox, lastSeenMs }: Track, embedding: Embedding): SeenPicture {
  return { camera, box: lastBox, embedding, monotonicMs: lastSeenMs };
}

/** Whether there is enough of it to be a visit: a short glimpse of a poor face leaves nothing. */
export function isVisit(track: Track): boolean {
  return track.looks.length > 0 || track.frames >= POOR_FRAMES;
}

/**
 * Who it is. A person whom another face of the same frames resembles more is not this one, so
 * whoever is unknown alone stays unknown beside somebody who is known.
 */
function verdictOf(track: Track, { thresholds }: TrackOptions): FaceMatch {
  let { looks } = track;
  for (;;) {
    const verdict = decide(looks, thresholds);
    const { person, score } = verdict;
    if (person === null || score === null || rivalScore(track, person) <= score) return verdict;
    looks = withoutCandidate(looks, person);
  }
}

/** How surely another face that was there with this one is that person; -1 where none is. */
function rivalScore({ companions, rivals }: Track, person: string): number {
  const scores = [...companions].map(({ claim }) =>
    claim?.person === person ? (claim.score ?? -1) : -1,
  );
  return Math.max(rivals.get(person) ?? -1, ...scores);
}

function withoutCandidate(looks: readonly Look[], person: string): Look[] {
  return looks.map((look) => ({
    ...look,
    candidates: look.candidates.filter((candidate) => candidate.person !== person),
  }));
}

export function decideWhenDue(track: Track, now: number, options: TrackOptions): TrackEvent[] {
  if (track.looks.length === 0) return [];
  const verdict = verdictOf(track, options);
  const agreed = verdict.outcome === "known" && track.looks.length >= AGREEING_LOOKS;
  const enough = track.looks.length >= ENOUGH_LOOKS;
  const waited = now - track.firstSeenMs >= options.decideAfterMs;
  return agreed || enough || waited ? announceDecision(track, verdict, options) : [];
}

function announceDecision(track: Track, verdict: FaceMatch, options: TrackOptions): TrackEvent[] {
  const before = track.verdict;
  const saysMore = before === null || WEIGHT[verdict.outcome] > WEIGHT[before.outcome];
  // Somebody has come who is that person.
  const taken =
    before?.person != null &&
    verdict.person !== before.person &&
    track.claim?.person === before.person;
  if (!(saysMore || taken) || track.revision >= REVISIONS_MAX) return [];
  const announced = announce(track, verdict, options);
  if (announced === null) return [];
  track.verdict = verdict;
  track.revision++;
  const { image } = track;
  track.image = null;
  return [
    ...announced,
    {
      kind: "recognised",
      visit: track.visit,
      revision: track.revision,
      decision: explain(track, verdict, options),
      crops: track.looks.slice(0, CROPS_KEPT).flatMap(({ crop }) => crop ?? []),
      image,
    },
  ];
}

/** The start of the visit, where the log is to know of it; null where there is no room for it. */
export function announce(
  track: Track,
  verdict: FaceMatch | null,
  { budget }: TrackOptions,
): TrackEvent[] | null {
  if (track.announced) return [];
  if (track.still) return null;
  const { visit, camera, lastSeenMs } = track;
  if (budget?.take(verdict?.outcome === "known" ? "known" : "others", lastSeenMs) === false) {
    if (!track.leftOut) budget.leftOut++;
    track.leftOut = true;
    return null;
  }
  if (track.leftOut && budget !== undefined) budget.leftOut--;
  track.announced = true;
  return [{ kind: "started", visit, camera }];
}

export function endTrack(
  track: Track,
  reason: "absent" | "stopped",
  options: TrackOptions,
): TrackEvent[] {
  const last = isVisit(track) ? announceDecision(track, verdictOf(track, options), options) : [];
  const { claim } = track;
  for (const { companions, rivals } of track.companions) {
    companions.delete(track);
    if (claim?.person == null) continue;
    rivals.set(claim.person, Math.max(rivals.get(claim.person) ?? -1, claim.score ?? -1));
  }
  if (!track.announced) return [];
  const { visit, frames, firstSeenMs, lastSeenMs, verdict } = track;
  const [face] = track.anchors;
  if (face !== undefined && !track.moved && verdict?.person == null) {
    options.stills?.remember(pictureOf(track, face));
  }
  const durationMs = lastSeenMs - firstSeenMs;
  const outcome = verdict?.outcome ?? "unusable";
  return [...last, { kind: "ended", visit, reason, durationMs, frames, outcome }];
}

/** Takes an erased person out of everything that is known of a face. */
export function forgetPerson(track: Track, person: string, { thresholds }: TrackOptions): void {
  track.looks = withoutCandidate(track.looks, person);
  track.claim = track.looks.length === 0 ? null : decide(track.looks, thresholds);
  if (track.verdict?.person === person) track.verdict = track.claim;
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
