import { text } from "../../shared/cli/options.ts";
import { type Terminal, table } from "../../shared/cli/terminal.ts";
import { similarity } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { Embedding } from "../../shared/log/embedding.ts";
import { visionOptions } from "../config/options.ts";
import { type Candidate, decide, type Thresholds } from "../recognition/match.ts";
import { createTemplateIndex, type IndexedTemplate } from "../recognition/template-index.ts";
import { thresholdProblems, thresholdsOf } from "../recognition/thresholds.ts";
import { type EmbeddedFace, largestFirst } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import { openVision, type Vision } from "../vision/vision.ts";
import { peopleIn, photosIn, readPhoto } from "./photos.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

type Nearest = (probe: Embedding) => Promise<Candidate[]>;
type NameOf = (person: string) => string | null;

const CANDIDATES = 5;

/** The faces of a photo; a photo that is none has an error and no faces. */
async function lookAt(
  vision: Vision,
  photo: string,
  maxSidePx: number,
): Promise<{ readonly error: string | null; readonly faces: readonly EmbeddedFace[] }> {
  try {
    return { error: null, faces: await analyse(vision, photo, maxSidePx) };
  } catch (error) {
    if (!(error instanceof PorchlightError)) throw error;
    return { error: error.message, faces: [] };
  }
}

async function analyse(
  vision: Vision,
  photo: string,
  maxSidePx: number,
): Promise<readonly EmbeddedFace[]> {
  const image = await decodeImage(readPhoto(photo), { maxSidePx, cutShort: true });
  return (await vision.analyse(image)).faces;
}

/** A gallery for this one command, from a folder of person/photo.jpg: no store, no daemon. */
async function folderGallery(
  folder: string,
  vision: Vision,
  maxSidePx: number,
  terminal: Terminal,
): Promise<{ nearest: Nearest; nameOf: NameOf }> {
  const people = peopleIn(folder);
  const templates: IndexedTemplate[] = [];
  let done = 0;
  for (const { person, photos } of people) {
    for (const photo of photos) {
      const { faces, error } = await lookAt(vision, photo, maxSidePx);
      const [face] = largestFirst(faces);
      if (face?.quality.usable === true) {
        templates.push({ person, template: photo, embedding: face.embedding });
      } else terminal.note(`${photo}: ${error ?? "no usable face"}, passed over`);
    }
    terminal.progress("gallery", ++done, people.length);
  }
  const index = createTemplateIndex(templates, vision.pack.dimension);
  return { nearest: (probe) => index.nearest(probe, CANDIDATES), nameOf: (person) => person };
}

function storeGallery({ store }: Invocation, vision: Vision): { nearest: Nearest; nameOf: NameOf } {
  const { gallery } = store();
  return {
    nearest: (probe) => gallery.nearest(vision.pack.id, probe, CANDIDATES),
    nameOf: (person) => gallery.person(person)?.name ?? null,
  };
}

async function identifyFace(
  face: EmbeddedFace,
  nearest: Nearest,
  nameOf: NameOf,
  limits: Thresholds,
) {
  const { quality, box, embedding } = face;
  const candidates = quality.usable ? await nearest(embedding) : [];
  const looks = quality.usable ? [{ quality: quality.score, candidates }] : [];
  const verdict = decide(looks, limits);
  return {
    ...verdict,
    name: verdict.person === null ? null : nameOf(verdict.person),
    box: [box.x, box.y, box.width, box.height].map(Math.round),
    widthPx: Math.round(quality.widthPx),
    reasons: quality.reasons,
  };
}

export const identify: Verb = verb({
  name: "identify",
  summary: "say who is in a photo",
  options: {
    gallery: text("DIR", "compare with a folder of person/photo.jpg instead of the store"),
  },
  example: "porchlight identify visitor.jpg --gallery ~/photos/family",
  operands: { usage: "<photos or folders…>", min: 1, max: 10_000 },
  async run(invocation) {
    const { operands, values, terminal, config, signal } = invocation;
    const found = operands.map(photosIn);
    for (const note of found.flatMap(({ notes }) => notes)) terminal.note(note);
    const photos = found.flatMap((each) => each.photos);
    const { maxSidePx } = config().recognition;
    const vision = await openVision({ ...visionOptions(config()), logger: silentLogger });
    try {
      const folder = values.gallery;
      const { nearest, nameOf } =
        folder === undefined
          ? storeGallery(invocation, vision)
          : await folderGallery(folder, vision, maxSidePx, terminal);
      const thresholds = thresholdsOf(config().recognition, vision.pack);
      for (const problem of thresholdProblems(config().recognition, vision.pack)) {
        terminal.note(problem);
      }
      const results = [];
      for (const photo of photos) {
        if (signal.aborted) break;
        const { faces, error } = await lookAt(vision, photo, maxSidePx);
        const found = await Promise.all(
          faces.map((face) => identifyFace(face, nearest, nameOf, thresholds)),
        );
        results.push({ photo, error, faces: found });
        terminal.progress("identify", results.length, photos.length);
      }
      const rows = results.flatMap(({ photo, error, faces }) =>
        faces.length === 0
          ? [[photo, error ?? "no face", "", "", ""]]
          : faces.map(({ outcome, name, score, margin, reasons }) => [
              photo,
              outcome === "unusable" ? `unusable (${reasons.join(", ")})` : outcome,
              name ?? "",
              similarity(score),
              similarity(margin),
            ]),
      );
      terminal.data(results, table(["photo", "outcome", "who", "score", "margin"], rows));
      if (signal.aborted) {
        terminal.note(`stopped after ${results.length} of ${photos.length} photos`);
        return EXIT.failed;
      }
      const matched = results.some(({ faces }) => faces.some(({ outcome }) => outcome === "known"));
      return matched ? EXIT.ok : EXIT.notFound;
    } finally {
      await vision.close();
    }
  },
});
