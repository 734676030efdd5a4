import type { Embedding } from "../../shared/log/embedding.ts";
import { decide, type Thresholds } from "../recognition/match.ts";
import { createTemplateIndex } from "../recognition/template-index.ts";
import { type Rate, rateOf } from "./rate.ts";

/** One photo as the daemon would judge it. */
export interface Look {
  readonly photo: string;
  readonly person: string;
  /** Null where no face was found. */
  readonly embedding: Embedding | null;
  /** Whether the face was good enough to be matched. */
  readonly usable: boolean;
  /** 0 to 1. */
  readonly quality: number;
}

export interface Plan {
  /** Photos to enrol, by person, in galleries that know nothing of each other. */
  readonly galleries: readonly ReadonlyMap<string, readonly string[]>[];
  /** The other photos of the enrolled. */
  readonly known: readonly string[];
  /** Photos of people who are in no gallery. */
  readonly strangers: readonly string[];
}

export interface PlanOptions {
  /** Photos enrolled of each person. */
  readonly photosEach: number;
  /** People in a gallery; the last one may be smaller. */
  readonly gallerySize: number;
}

/**
 * Every second person with two photos or more is enrolled, with their first photos; the others are
 * the strangers. In the order given, so that anybody can repeat it.
 */
export function planIdentification(
  people: readonly { readonly person: string; readonly photos: readonly string[] }[],
  { photosEach, gallerySize }: PlanOptions,
): Plan {
  const several = people.filter(({ photos }) => photos.length > 1);
  const enrolled = several.filter((_, i) => i % 2 === 0);
  const galleries: Map<string, readonly string[]>[] = [];
  enrolled.forEach(({ person, photos }, i) => {
    if (i % gallerySize === 0) galleries.push(new Map());
    galleries.at(-1)?.set(person, photos.slice(0, Math.min(photosEach, photos.length - 1)));
  });
  const taken = new Set(galleries.flatMap((gallery) => [...gallery.values()].flat()));
  return {
    galleries,
    known: enrolled.flatMap(({ photos }) => photos.filter((photo) => !taken.has(photo))),
    strangers: people
      .filter((each) => !enrolled.includes(each as (typeof enrolled)[number])) // only compared
      .flatMap(({ photos }) => [...photos]),
  };
}

export interface Identification {
  readonly galleries: number;
  readonly peopleEnrolled: number;
  readonly templates: number;
  readonly thresholds: Thresholds;
  /** Of the photos of enrolled people, each shown to the gallery that has them. */
  readonly known: Rate;
  readonly wrongPerson: Rate;
  readonly ambiguous: Rate;
  /** No face, or none good enough to be matched: never a false accept. */
  readonly unusable: Rate;
  /** Of the photos of strangers, each shown to every gallery. */
  readonly falseAccepts: Rate;
}

/** Shows every probe to the galleries and counts what the rule of the daemon says. */
export async function identifyAll(
  plan: Plan,
  looks: ReadonlyMap<string, Look>,
  { thresholds, dimension }: { thresholds: Thresholds; dimension: number },
): Promise<Identification> {
  const counts = { known: 0, wrongPerson: 0, ambiguous: 0, unusable: 0, falseAccepts: 0 };
  let [knownProbes, strangerProbes, templates] = [0, 0, 0];
  for (const gallery of plan.galleries) {
    const enrolled = [...gallery].flatMap(([person, photos]) =>
      photos.flatMap((photo) => {
        const { embedding = null, usable = false } = looks.get(photo) ?? {};
        return embedding !== null && usable ? [{ person, template: photo, embedding }] : [];
      }),
    );
    templates += enrolled.length;
    const index = createTemplateIndex(enrolled, dimension);
    const decideFor = async ({ embedding, usable, quality }: Look) => {
      const candidates = embedding !== null && usable ? await index.nearest(embedding, 5) : null;
      return decide(candidates === null ? [] : [{ quality, candidates }], thresholds);
    };
    for (const photo of plan.known) {
      const look = looks.get(photo);
      if (look === undefined || !gallery.has(look.person)) continue;
      knownProbes++;
      const { outcome, person } = await decideFor(look);
      if (outcome === "known") counts[person === look.person ? "known" : "wrongPerson"]++;
      else if (outcome !== "unknown") counts[outcome]++;
    }
    for (const photo of plan.strangers) {
      const look = looks.get(photo);
      if (look === undefined) continue;
      strangerProbes++;
      if ((await decideFor(look)).outcome === "known") counts.falseAccepts++;
    }
  }
  return {
    galleries: plan.galleries.length,
    peopleEnrolled: plan.galleries.reduce((sum, { size }) => sum + size, 0),
    templates,
    thresholds: { match: thresholds.match, margin: thresholds.margin },
    known: rateOf(counts.known, knownProbes),
    wrongPerson: rateOf(counts.wrongPerson, knownProbes),
    ambiguous: rateOf(counts.ambiguous, knownProbes),
    unusable: rateOf(counts.unusable, knownProbes),
    falseAccepts: rateOf(counts.falseAccepts, strangerProbes),
  };
}
