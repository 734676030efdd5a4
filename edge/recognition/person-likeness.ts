/** What the faces of one person say of each other: which are of somebody else, and which are copies. */
import { cosine, type Embedding } from "../../shared/log/embedding.ts";

/** A face of a person: a template, or what is to become one. */
export interface Member {
  readonly template: string;
  /** Of its photo; null for a template that is there already. */
  readonly name: string | null;
  readonly embedding: Embedding;
  readonly quality: number;
}

/** More templates of one person add time and little else: accuracy levels off well before. */
export const TEMPLATES_PER_PERSON_MAX = 20;
/** More alike than this are copies of one photo, however often it was encoded. */
const COPY_MIN = 0.99;
/** A face has to be like so many others, on average: one alone may be the wrong one. */
const ALIKE_TO = 2;

/** The face that most others are like, and those; nobody of none. */
export function coreOf<M extends Member>(members: readonly M[], least: number): M[] {
  const circles = members.map((member) =>
    members.filter(({ embedding }) => cosine(member.embedding, embedding) >= least),
  );
  const [largest = []] = circles.sort((a, b) => b.length - a.length);
  return largest;
}

/** The same where it is more than half of them; else it is not known who is meant. */
export function majorityOf<M extends Member>(members: readonly M[], least: number): M[] {
  const core = coreOf(members, least);
  return 2 * core.length > members.length ? core : [];
}

/** In words, how a face is unlike those that are surely of the person; null where it is like them. */
export function unlike(member: Member, reference: readonly Member[], least: number): string | null {
  if (reference.includes(member)) return null;
  const [nearest, ...rest] = reference
    .map(({ embedding, name }) => ({ score: cosine(member.embedding, embedding), name }))
    .sort((a, b) => b.score - a.score);
  if (nearest === undefined) return null;
  const scores = [nearest, ...rest].slice(0, ALIKE_TO).map(({ score }) => score);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  if (mean >= least) return null;
  const which = nearest.name === null ? "the person's nearest template" : nearest.name;
  return `similarity ${nearest.score.toFixed(3)} to ${which}, under ${least}: is it of this person?`;
}

export interface Spare<M extends Member> {
  readonly member: M;
  readonly refusal: "same photo again" | "enough templates";
  readonly detail: string;
}

/**
 * Those that are kept of what is there and what comes: copies count once, and where there are too
 * many, the worse of the two that are most alike goes.
 */
export function mostDifferent<M extends Member>(
  there: readonly M[],
  given: readonly M[],
): { readonly kept: readonly M[]; readonly spare: readonly Spare<M>[] } {
  let kept = [...there];
  const spare: Spare<M>[] = [];
  for (const member of given) {
    const copy = kept.find(({ embedding }) => cosine(embedding, member.embedding) > COPY_MIN);
    if (copy !== undefined) {
      const of = copy.name === null ? "a photo taken before" : copy.name;
      spare.push({ member, refusal: "same photo again", detail: `it shows what ${of} shows` });
      continue;
    }
    kept = [...kept, member];
    if (kept.length <= TEMPLATES_PER_PERSON_MAX) continue;
    const least = mostRedundant(kept);
    kept = kept.filter((each) => each !== least);
    const detail = `${TEMPLATES_PER_PERSON_MAX} templates are kept of a person, and it adds least to them`;
    spare.push({ member: least, refusal: "enough templates", detail });
  }
  return { kept, spare };
}

/** Of the two that are most alike, the one of less quality, or the older one. */
function mostRedundant<M extends Member>(members: readonly M[]): M {
  let most = -1;
  let [least] = members as readonly [M, ...M[]];
  members.forEach((a, i) => {
    for (const b of members.slice(i + 1)) {
      const likeness = cosine(a.embedding, b.embedding);
      if (likeness <= most) continue;
      most = likeness;
      least = a.quality <= b.quality ? a : b;
    }
  });
  return least;
}
