import type { Box } from "./face.ts";

/** A face as a detector sees it, in pixels of whatever it looked at. */
export interface Detection {
  readonly box: Box;
  readonly score: number;
  /** Five (x, y), if this detector gives them. */
  readonly points?: Float32Array;
}

/** One look of a detector. */
export interface DetectorPass {
  /** Longer side of the canvas, px; the net's own strides ask for a multiple of 32. */
  readonly sidePx: number;
  /**
   * How much longer the canvas is than the picture in it. Above 1 the picture lies in its middle:
   * detectors lose faces that fill the frame, and find them in a frame around the frame.
   */
  readonly canvas: number;
}

/** A flood of boxes is noise; what an eye could tell apart in one frame is far fewer. */
export const DETECTIONS_MAX = 64;

/**
 * Keeps the best of every heap of boxes that overlap by more than `iouMax` (intersection over
 * union), best first.
 */
export function suppressOverlaps(detections: readonly Detection[], iouMax: number): Detection[] {
  const kept: Detection[] = [];
  for (const candidate of [...detections].sort((a, b) => b.score - a.score)) {
    if (kept.length === DETECTIONS_MAX) break;
    if (kept.every(({ box }) => overlap(box, candidate.box) <= iouMax)) kept.push(candidate);
  }
  return kept;
}

/** Cells that overlap so much saw one face; suppression keeps one of them, and their points differ. */
const BLEND_MIN = 0.5;

/**
 * The face's points, averaged over all that saw it by their scores: steadier than the best one's
 * alone (V. Bazarevsky et al., BlazeFace, 2019), and free.
 */
export function blendPoints(face: Detection, all: readonly Detection[]): Float32Array {
  const sum = new Float64Array(face.points?.length ?? 0);
  let weight = 0;
  for (const { box, score, points } of all) {
    if (points === undefined || overlap(box, face.box) < BLEND_MIN) continue;
    weight += score;
    points.forEach((value, i) => {
      sum[i] = (sum[i] ?? 0) + value * score;
    });
  }
  return Float32Array.from(sum, (value) => value / weight);
}

/** Intersection over union, 0..1. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/** From pixels of a picture drawn at (x, y) and scaled, back to pixels of the picture. */
export function unplace(
  { box, score, points }: Detection,
  { x, y, scaleX, scaleY }: { x: number; y: number; scaleX: number; scaleY: number },
): Detection {
  return {
    box: {
      x: (box.x - x) / scaleX,
      y: (box.y - y) / scaleY,
      width: box.width / scaleX,
      height: box.height / scaleY,
    },
    score,
    ...(points && {
      points: points.map((value, i) => (i % 2 === 0 ? (value - x) / scaleX : (value - y) / scaleY)),
    }),
  };
}
