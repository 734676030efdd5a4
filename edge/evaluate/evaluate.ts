/** The evaluation: analyses every photo once, and computes all rates from it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import { cosine } from "../../shared/log/embedding.ts";
import { round, type Thresholds } from "../recognition/match.ts";
import type { Face, RgbImage } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import type { Vision } from "../vision/vision.ts";
import {
  type Identification,
  identifyAll,
  type Look,
  planIdentification,
} from "./identification.ts";
import type { Pair } from "./pairs.ts";
import { type Rate, rateOf } from "./rate.ts";
import { type ScoredPair, type Verification, verify } from "./verification.ts";

export interface LabelledPeople {
  readonly person: string;
  /** Paths relative to the folder of people. */
  readonly photos: readonly string[];
}

export interface EvaluateOptions {
  readonly vision: Vision;
  /** The folder of people. */
  readonly folder: string;
  /** Photos are decoded at most this large, as frames are. */
  readonly maxSidePx: number;
  readonly thresholds: Thresholds;
  readonly photosEach: number;
  readonly gallerySize: number;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number) => void;
}

export interface Evaluation {
  /** Photos in which a face was found. */
  readonly detection: Rate;
  /** Photos that could not be decoded, with why; they count as photos without a face. */
  readonly unreadable: readonly { readonly photo: string; readonly reason: string }[];
  readonly verification: Verification | null;
  readonly identification: Identification;
}

export interface Evaluated {
  readonly evaluation: Evaluation;
  readonly scored: readonly (Pair & ScoredPair)[];
  readonly looks: ReadonlyMap<string, Look>;
}

/** Rates for these people and pairs. Verification needs pairs of both kinds. */
export async function evaluate(
  people: readonly LabelledPeople[],
  pairs: readonly Pair[],
  options: EvaluateOptions,
): Promise<Evaluated> {
  const { vision, thresholds, signal, progress } = options;
  const plan = planIdentification(people, options);
  const all = people.flatMap(({ person, photos }) => photos.map((photo) => ({ person, photo })));
  const looks = new Map<string, Look>();
  const unreadable: { photo: string; reason: string }[] = [];
  for (const { person, photo } of all) {
    if (signal.aborted) {
      throw new PorchlightError("evaluate.stopped", `stopped after ${looks.size} photos`, {
        hint: "run the same command again: porchlight evaluate",
      });
    }
    try {
      const image = await readPhoto(join(options.folder, photo), options.maxSidePx);
      const seen = await lookAt(image, vision);
      looks.set(photo, { ...seen, photo, person });
    } catch (error) {
      if (!(error instanceof PorchlightError)) throw error;
      unreadable.push({ photo, reason: error.message });
      looks.set(photo, { ...NOTHING, photo, person });
    }
    progress(looks.size, all.length);
  }
  const scored = pairs.map((pair) => ({ ...pair, score: scoreOf(pair, looks) }));
  const both = scored.some(({ same }) => same) && scored.some(({ same }) => !same);
  const found = [...looks.values()].filter(({ embedding }) => embedding !== null).length;
  const rules = { thresholds, dimension: vision.pack.dimension };
  return {
    scored,
    looks,
    evaluation: {
      detection: rateOf(found, all.length),
      unreadable,
      verification: both ? verify(scored) : null,
      identification: await identifyAll(plan, looks, rules),
    },
  };
}

type Seen = Omit<Look, "photo" | "person">;

const NOTHING: Seen = { embedding: null, usable: false, quality: 0 };

async function readPhoto(path: string, maxSidePx: number): Promise<RgbImage> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new PorchlightError("photo.missing", `${path} cannot be read`, {
      hint: `look at it: ls -l ${path}`,
      cause: error,
    });
  });
  return await decodeImage(bytes, { maxSidePx, cutShort: true });
}

async function lookAt(image: RgbImage, vision: Vision): Promise<Seen> {
  const face = mostCentral(await vision.detect(image), image);
  if (face === undefined) return NOTHING;
  const [embedding = null] = await vision.embed(image, [face]);
  const { usable, score: quality } = face.quality;
  return { embedding, usable, quality };
}

/** A photo of somebody has them in its middle; who stands nearer at the edge is somebody else. */
function mostCentral(faces: readonly Face[], { width, height }: RgbImage): Face | undefined {
  const distance = ({ box }: Face): number =>
    Math.hypot(box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2);
  return [...faces].sort((a, b) => distance(a) - distance(b))[0];
}

function scoreOf({ a, b }: Pair, looks: ReadonlyMap<string, Look>): number | null {
  const [first, second] = [looks.get(a)?.embedding, looks.get(b)?.embedding];
  return first && second ? round(cosine(first, second)) : null;
}
