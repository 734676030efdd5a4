import { type Outcome, SIMILARITY_DECIMALS } from "../../shared/log/entry.ts";

/** A person's best template for one probe. */
export interface Candidate {
  readonly person: string;
  readonly template: string;
  /** Cosine similarity, -1 to 1. */
  readonly score: number;
}

/** Measured for a model pack, or calibrated by the owner for one door. */
export interface Thresholds {
  /** At least this similar to be the same person. */
  readonly match: number;
  /** At least this much more similar than the next person. */
  readonly margin: number;
}

/** One usable look at a face, compared with the gallery; best person first. */
export interface Evidence {
  /** 0 to 1: how much this look is worth. */
  readonly quality: number;
  readonly candidates: readonly Candidate[];
}

export interface FaceMatch {
  readonly outcome: Outcome;
  readonly person: string | null;
  readonly score: number | null;
  readonly runnerUp: { readonly person: string; readonly score: number } | null;
  readonly margin: number | null;
}

/** More looks than this add nothing: they are of the same face under the same light. */
export const EVIDENCE_LIMIT = 5;

/**
 * Decides who it was, from the best looks at one face.
 *
 * A person's score is the mean, over the looks, of that person's best template; a single look
 * counts as it is. `unusable`: no look was good enough to judge, which is never "unknown".
 * `ambiguous`: similar enough to somebody, but not clearly more than to somebody else.
 */
export function decide(looks: readonly Evidence[], thresholds: Thresholds): FaceMatch {
  if (looks.length === 0) return nobody("unusable", null, null);
  const best = [...looks].sort((a, b) => b.quality - a.quality).slice(0, EVIDENCE_LIMIT);
  const [first, second] = rank(best);
  if (first === undefined) return nobody("unknown", null, null);
  const margin = second === undefined ? null : round(first.score - second.score);
  const runnerUp = second ?? null;
  if (first.score < thresholds.match) return nobody("unknown", first.score, runnerUp);
  const clear = margin === null || margin >= thresholds.margin;
  if (!clear) return { ...nobody("ambiguous", first.score, runnerUp), margin };
  return { outcome: "known", person: first.person, score: first.score, runnerUp, margin };
}

/** People by their mean score over the looks. Who is missing from a look scores its lowest there. */
function rank(looks: readonly Evidence[]): { person: string; score: number }[] {
  const people = new Set(looks.flatMap(({ candidates }) => candidates.map(({ person }) => person)));
  return [...people]
    .map((person) => ({ person, score: round(meanScore(person, looks)) }))
    .sort((a, b) => b.score - a.score);
}

function meanScore(person: string, looks: readonly Evidence[]): number {
  const scores = looks.map(({ candidates }) => {
    const own = candidates.find((candidate) => candidate.person === person);
    return own?.score ?? candidates.at(-1)?.score ?? -1;
  });
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function nobody(
  outcome: Outcome,
  score: number | null,
  runnerUp: FaceMatch["runnerUp"],
): FaceMatch {
  return { outcome, person: null, score, runnerUp, margin: null };
}

export function round(similarity: number): number {
  const scale = 10 ** SIMILARITY_DECIMALS;
  return Math.round(similarity * scale) / scale;
}
