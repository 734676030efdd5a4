import { invariant } from "../../shared/core/errors.ts";
import { type Rate, rateOf } from "./rate.ts";

/** Two photos compared. Without a face in one of them there is no score, and no match. */
export interface ScoredPair {
  readonly same: boolean;
  /** Cosine similarity, rounded as the log does. */
  readonly score: number | null;
}

/** What a threshold does that keeps false accepts at or below `far`. */
export interface OperatingPoint {
  readonly far: number;
  /** Least such threshold: a score at least this high is a match. */
  readonly threshold: number;
  /** Pairs of one person that match. */
  readonly tar: Rate;
  /** Pairs of two people that match all the same. */
  readonly falseAccepts: Rate;
}

export interface Verification {
  readonly pairs: { readonly same: number; readonly different: number };
  /** Pairs in which a photo had no face: a miss if of one person, a rejection if of two. */
  readonly withoutScore: { readonly same: number; readonly different: number };
  /** Ten folds: each scored at the threshold that is best for the other nine. */
  readonly accuracy: Rate & { readonly deviation: number };
  /** Where as many strangers match as friends do not. */
  readonly equalErrorRate: number;
  readonly points: readonly OperatingPoint[];
}

/** A point of the curve: shares that match at a threshold. */
export interface CurvePoint {
  readonly threshold: number;
  readonly far: number;
  readonly tar: number;
}

const FOLDS = 10;
/** Scores have four decimals, so the next higher threshold is this much higher. */
export const SCORE_STEP = 0.0001;

/** Rates of one-to-one comparison. Pairs without a score match at no threshold. */
export function verify(
  pairs: readonly ScoredPair[],
  fars: readonly number[] = [0.01, 0.001],
): Verification {
  const same = scoresOf(pairs, true);
  const different = scoresOf(pairs, false);
  invariant(same.length > 0 && different.length > 0, "there are pairs of both kinds");
  return {
    pairs: { same: same.length, different: different.length },
    withoutScore: { same: without(same), different: without(different) },
    accuracy: tenFold(pairs),
    equalErrorRate: equalError(curve(pairs)),
    points: fars.map((far) => {
      const threshold = thresholdAt(different, far);
      return {
        far,
        threshold,
        tar: rateOf(atLeast(same, threshold), same.length),
        falseAccepts: rateOf(atLeast(different, threshold), different.length),
      };
    }),
  };
}

/** The least threshold, in steps of a score, that no more than `far` of the scores reach. */
export function thresholdAt(descending: readonly number[], far: number): number {
  const allowed = Math.floor(far * descending.length + 1e-9);
  const refused = descending[allowed];
  if (refused === undefined || refused === -Infinity) return -1;
  return roundToStep(refused + SCORE_STEP);
}

/** Both shares at every threshold that changes one of them, from the strictest on. */
export function curve(pairs: readonly ScoredPair[]): CurvePoint[] {
  const same = scoresOf(pairs, true);
  const different = scoresOf(pairs, false);
  const thresholds = [...new Set([...same, ...different])].filter(Number.isFinite);
  thresholds.sort((a, b) => b - a);
  const points: CurvePoint[] = [];
  let [tar, far] = [0, 0];
  for (const threshold of thresholds) {
    while ((same[tar] ?? -Infinity) >= threshold) tar++;
    while ((different[far] ?? -Infinity) >= threshold) far++;
    points.push({ threshold, tar: tar / same.length, far: far / different.length });
  }
  return points;
}

/** Scores from the highest down; of a pair without one, as low as can be. */
function scoresOf(pairs: readonly ScoredPair[], same: boolean): number[] {
  return pairs
    .filter((pair) => pair.same === same)
    .map(({ score }) => score ?? -Infinity)
    .sort((a, b) => (a === b ? 0 : b - a));
}

function without(scores: readonly number[]): number {
  return scores.filter((score) => score === -Infinity).length;
}

function atLeast(descending: readonly number[], threshold: number): number {
  const below = descending.findIndex((score) => score < threshold);
  return below === -1 ? descending.length : below;
}

/** Misses and false accepts cross between two points of the curve: the value on the line there. */
function equalError(points: readonly CurvePoint[]): number {
  let before = { far: 0, miss: 1 };
  for (const { far, tar } of points) {
    const now = { far, miss: 1 - tar };
    if (now.far >= now.miss) {
      const gap = before.miss - before.far;
      const along = gap / (gap + now.far - now.miss);
      return before.far + along * (now.far - before.far);
    }
    before = now;
  }
  return before.miss;
}

/**
 * Accuracy as LFW has it reported (G. B. Huang et al., UMass Amherst TR 07-49, 2007). The k-th pair
 * of either kind belongs to fold k modulo 10, so each fold has its share of both.
 */
function tenFold(pairs: readonly ScoredPair[]): Rate & { deviation: number } {
  const seen = { same: 0, different: 0 };
  const folds: ScoredPair[][] = Array.from({ length: FOLDS }, () => []);
  for (const pair of pairs) {
    folds[seen[pair.same ? "same" : "different"]++ % FOLDS]?.push(pair);
  }
  let right = 0;
  const accuracies: number[] = [];
  for (const fold of folds.filter(({ length }) => length > 0)) {
    const threshold = bestThreshold(folds.filter((other) => other !== fold).flat());
    const count = fold.filter(({ same, score }) => (score ?? -Infinity) >= threshold === same);
    right += count.length;
    accuracies.push(count.length / fold.length);
  }
  const mean = accuracies.reduce((sum, each) => sum + each, 0) / accuracies.length;
  const squares = accuracies.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / Math.max(1, accuracies.length - 1));
  return { ...rateOf(right, pairs.length), deviation };
}

/** The threshold with the most pairs right, half-way to the next lower score. */
function bestThreshold(pairs: readonly ScoredPair[]): number {
  const scored = pairs.map(({ same, score }) => ({ same, score: score ?? -Infinity }));
  scored.sort((a, b) => (a.score === b.score ? 0 : b.score - a.score));
  let best = { right: -1, threshold: Number.POSITIVE_INFINITY };
  let right = scored.filter(({ same }) => !same).length;
  if (right > best.right) best = { right, threshold: 1 + SCORE_STEP };
  scored.forEach(({ same, score }, i) => {
    if (score === -Infinity) return;
    right += same ? 1 : -1;
    const next = scored[i + 1]?.score ?? -1;
    if (next === score || right <= best.right) return;
    best = { right, threshold: (score + Math.max(next, -1)) / 2 };
  });
  return best.threshold;
}

/** Takes the dust of binary fractions off a threshold. */
export function roundToStep(threshold: number): number {
  return Math.round(threshold / SCORE_STEP) / Math.round(1 / SCORE_STEP);
}
