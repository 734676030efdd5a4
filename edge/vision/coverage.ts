/**
 * Whether a face is covered: by a mask, sunglasses, a hat, a hand, or what stands before half of it.
 * A recogniser sees the thing rather than the person: two people in one kind of mask are alike.
 *
 * A small net (coverage-net.ts) on 32 × 32 px, 0.3 million multiplications: four 3 × 3 convolutions of
 * stride 2, each with a ReLU, and one sum. It was trained on the faces of docs/accuracy.md, bare and with things of
 * random colour, texture and shape drawn on them; what it finds and misses stands there.
 */
import { invariant } from "../../shared/core/errors.ts";
import { fitSimilarity, invertSimilarity, type Similarity } from "./align.ts";
import { COVERAGE_SIDE } from "./coverage-net.ts";
import type { QualityReason } from "./face.ts";
import type { Session } from "./session.ts";

/** The five points in it: as in ArcFace's template, with more of the forehead and the chin. */
const TARGET = [
  38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041,
].map((at) => ((at - 56) * 0.82 + 56) * (COVERAGE_SIDE / 112) - 0.25);
/** Log odds from which on a face is covered: a few are let through rather than residents refused. */
const COVERED_MIN = 3;
/** The same for a face of which the detector is unsure, too. */
const COVERED_MIN_UNSURE = -3;
/** The detector's confidence, from where on and to where. */
const SURE_FROM = 0.65;
const UNSURE_TO = 0.5;
/** Luma from here on is white: the sensor has seen nothing there. */
const WHITE = 248;
/** So much of a face is never white in the bare photos: 0.155 at most. */
const WHITE_PART_MAX = 0.2;
/** The part of the chip that is face and no background, px: rows, then columns. */
const FACE = { top: 5, bottom: 28, left: 6, right: 26 } as const;

/** From the chip to the picture, for five points found in it. */
export function coverageChip(points: Float32Array): Similarity {
  return invertSimilarity(fitSimilarity(points, TARGET));
}

/** Whether too much of the face is white to tell who it is. */
function isOverexposed(chip: Uint8Array): boolean {
  let white = 0;
  for (let y = FACE.top; y < FACE.bottom; y++) {
    for (let x = FACE.left; x < FACE.right; x++) {
      const i = (y * COVERAGE_SIDE + x) * 3;
      // ITU-R BT.601.
      const [r, g, b] = [chip[i] ?? 0, chip[i + 1] ?? 0, chip[i + 2] ?? 0];
      if (0.299 * r + 0.587 * g + 0.114 * b >= WHITE) white++;
    }
  }
  return white > WHITE_PART_MAX * (FACE.bottom - FACE.top) * (FACE.right - FACE.left);
}

export interface CoverageInput {
  /** Cut by coverageChip. */
  readonly chip: Uint8Array;
  /** The detector's. */
  readonly confidence: number;
}

/** Why each face cannot be told from others, though it is large, sharp and light: null where it can. */
export async function hiddenReasons(
  session: Session,
  faces: readonly CoverageInput[],
): Promise<(QualityReason | null)[]> {
  const covered = await areCovered(session, faces);
  return faces.map(({ chip }, i) => {
    if (isOverexposed(chip)) return "overexposed";
    return covered[i] ? "covered" : null;
  });
}

async function areCovered(session: Session, faces: readonly CoverageInput[]): Promise<boolean[]> {
  if (faces.length === 0) return [];
  const dims = [faces.length, COVERAGE_SIDE, COVERAGE_SIDE, 3];
  const { log_odds } = await session.run(Buffer.concat(faces.map(({ chip }) => chip)), dims);
  invariant(log_odds?.data.length === faces.length, "one answer a face");
  return faces.map(({ confidence }, i) => (log_odds.data[i] ?? 0) > leastOdds(confidence));
}

function leastOdds(confidence: number): number {
  const unsure = Math.min(1, Math.max(0, (SURE_FROM - confidence) / (SURE_FROM - UNSURE_TO)));
  return COVERED_MIN + unsure * (COVERED_MIN_UNSURE - COVERED_MIN);
}
