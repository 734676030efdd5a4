import { PorchlightError } from "../../shared/core/errors.ts";
import { cosine, type Embedding } from "../../shared/log/embedding.ts";
import { roundToStep, SCORE_STEP } from "./verification.ts";

/** What a door wants, and what it will compare a visitor with. */
export interface CalibrationGoal {
  /** The chance that a stranger who comes to the door is taken for anybody enrolled. */
  readonly far: number;
  /** Enrolled photos a visitor is compared with, of all people together. */
  readonly templates: number;
  /** Never lower: few photos of few people say little about all strangers. */
  readonly thresholdMin: number;
}

export interface Calibration {
  readonly match: number;
  /** Chance of one comparison: 1 - (1 - far)^(1 / templates). */
  readonly farOfOne: number;
  /** Comparisons of two people's photos that it rests on. */
  readonly comparisons: number;
  /** measured: ten or more of them reach so high. tail: the trend of the highest was followed. */
  readonly basis: "measured" | "tail" | "the pack's own";
}

/** With fewer, not even the trend can be seen. Five people with five photos give 250. */
const COMPARISONS_MIN = 200;
/** About two seconds of work. */
const COMPARISONS_MAX = 5_000_000;
/** A share is measured where this many are counted: then it is right within a factor of two. */
const COUNTED_MIN = 10;
/**
 * The part of the scores, and the least count, that the trend is taken from. Further down they fall
 * off more slowly: a foot at 2 % put the threshold of a 3e-5 chance 0.015 too high.
 */
const TAIL_SHARE = 0.002;
const TAIL_MIN = 20;

/**
 * The threshold for a door, from all comparisons of different people's photos.
 *
 * A visitor is compared with every enrolled photo, so the chance of one comparison has to be that
 * much smaller. Where too few comparisons are at hand to count it, the highest scores are continued
 * as an exponential tail: the limit of all tails that fall off like the normal distribution's
 * (J. Pickands, Annals of Statistics 3, 1975), and above it, so rather too strict.
 */
export function calibrate(
  people: readonly { readonly person: string; readonly embeddings: readonly Embedding[] }[],
  { far, templates, thresholdMin }: CalibrationGoal,
): Calibration {
  const scores = impostorScores(people);
  const comparisons = scores.length;
  if (comparisons < COMPARISONS_MIN) {
    throw new PorchlightError(
      "evaluate.calibrate.few",
      `${comparisons} comparisons of different people are too few, ${COMPARISONS_MIN} are needed`,
      { hint: "add folders of more people; those who are not enrolled are as good" },
    );
  }
  const farOfOne = 1 - (1 - far) ** (1 / templates);
  const allowed = Math.floor(farOfOne * comparisons);
  const counted = above(scores[allowed] ?? 1);
  const measured = allowed >= COUNTED_MIN;
  const wanted = measured ? counted : Math.max(counted, tailThreshold(scores, farOfOne));
  const basis = wanted < thresholdMin ? "the pack's own" : measured ? "measured" : "tail";
  return { match: Math.min(1, Math.max(wanted, thresholdMin)), farOfOne, comparisons, basis };
}

/** Cosines of photos of different people, from the highest down. */
function impostorScores(
  people: readonly { readonly embeddings: readonly Embedding[] }[],
): Float64Array {
  const all = people.flatMap(({ embeddings }, owner) =>
    embeddings.map((embedding) => ({ owner, embedding })),
  );
  const step = Math.max(1, Math.ceil(all.length ** 2 / 2 / COMPARISONS_MAX));
  const used = all.filter((_, i) => i % step === 0);
  const scores: number[] = [];
  used.forEach((a, i) => {
    for (const b of used.slice(i + 1)) {
      if (a.owner !== b.owner) scores.push(cosine(a.embedding, b.embedding));
    }
  });
  return Float64Array.from(scores).sort().reverse();
}

/** Where the tail's mean excess over its foot says that only `far` of all are left. */
function tailThreshold(descending: Float64Array, far: number): number {
  const count = Math.max(TAIL_MIN, Math.floor(descending.length * TAIL_SHARE));
  const foot = descending[count] ?? -1;
  const excess =
    descending.subarray(0, count).reduce((sum, score) => sum + score - foot, 0) / count;
  return above(foot + excess * Math.log(count / descending.length / far));
}

function above(score: number): number {
  return roundToStep(Math.ceil(score / SCORE_STEP + 1e-9) * SCORE_STEP);
}
