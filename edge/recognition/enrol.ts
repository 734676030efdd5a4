/** Enrolment: which photos of a person become templates, and why the others do not. */
import { createHash } from "node:crypto";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { embeddingToBytes } from "../../shared/log/embedding.ts";
import type { TemplateSource } from "../../shared/log/entry.ts";
import { type EmbeddedFace, largestFirst } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import { cropFace, encodeCrop, type Vision } from "../vision/vision.ts";
import type { Thresholds } from "./match.ts";
import type { TemplateGallery } from "./template.ts";

export type PhotoRefusal =
  | "unreadable"
  | "no face"
  | "several faces"
  | "too small"
  | "blurred"
  | "turned away"
  | "too dark"
  | "nearer to another person"
  | "same photo again"
  | "enough templates";

/** What became of one photo. */
export interface PhotoReport {
  readonly photo: string;
  readonly taken: boolean;
  readonly refusal: PhotoRefusal | null;
  readonly detail: string;
  readonly widthPx: number | null;
  readonly quality: number | null;
}

export interface Photo {
  /** Shown in the report: a file name, "camera", or "visit". */
  readonly name: string;
  readonly bytes: Buffer;
  readonly source: TemplateSource;
}

export interface EnrolOptions {
  readonly vision: Vision;
  readonly gallery: TemplateGallery;
  readonly thresholds: Thresholds;
  /** Photos are decoded at most this large. */
  readonly maxSidePx: number;
  readonly newId: () => string;
}

export interface Enrolment {
  readonly reports: readonly PhotoReport[];
  /** `template.added` drafts of the photos that were taken. */
  readonly templates: readonly AnyDraft[];
}

/** More templates of one person add time and little else: accuracy levels off well before. */
export const TEMPLATES_PER_PERSON_MAX = 20;
/** Another face at least this large, compared with the largest, makes it unclear who is meant. */
const OTHER_FACE_MIN = 0.6;

const REASONS = {
  small: "too small",
  blurred: "blurred",
  turned: "turned away",
  dark: "too dark",
} as const satisfies Record<string, PhotoRefusal>;

/** Looks at photos of one person, in order; `seen` is called after each. Writes nothing. */
export async function enrol(
  person: string,
  photos: AsyncIterable<Photo> | Iterable<Photo>,
  options: EnrolOptions,
  actor: string,
  seen: (report: PhotoReport) => void,
): Promise<Enrolment> {
  const own = options.gallery
    .templates(person)
    .filter(({ pack }) => pack === options.vision.pack.id);
  const digests = new Set(own.map(({ photo }) => photo));
  const reports: PhotoReport[] = [];
  const templates: AnyDraft[] = [];
  for await (const photo of photos) {
    const digest = createHash("sha256").update(photo.bytes).digest("hex");
    const room = own.length + templates.length < TEMPLATES_PER_PERSON_MAX;
    const assessed = digests.has(digest)
      ? refuse("same photo again", "its bytes are those of a photo taken before")
      : !room
        ? refuse("enough templates", `${TEMPLATES_PER_PERSON_MAX} templates are kept of a person`)
        : await assessPhoto(photo, person, options);
    if (assessed.face !== null) {
      digests.add(digest);
      templates.push(
        draftOf(assessed.face, assessed.crop, { photo, digest, person, actor, options }),
      );
    }
    const report: PhotoReport = { photo: photo.name, ...assessed.report };
    reports.push(report);
    seen(report);
  }
  return { reports, templates };
}

type Assessment =
  | { readonly face: null; readonly report: Omit<PhotoReport, "photo"> }
  | {
      readonly face: EmbeddedFace;
      readonly crop: Buffer;
      readonly report: Omit<PhotoReport, "photo">;
    };

function refuse(refusal: PhotoRefusal, detail: string, face?: EmbeddedFace): Assessment {
  const { widthPx = null, score: quality = null } = face?.quality ?? {};
  return { face: null, report: { taken: false, refusal, detail, widthPx, quality } };
}

async function assessPhoto(
  photo: Photo,
  person: string,
  options: EnrolOptions,
): Promise<Assessment> {
  const { vision, gallery, thresholds, maxSidePx } = options;
  let image: Awaited<ReturnType<typeof decodeImage>>;
  try {
    image = await decodeImage(photo.bytes, { maxSidePx, cutShort: true });
  } catch (error) {
    if (!(error instanceof PorchlightError)) throw error;
    return refuse("unreadable", error.message);
  }
  const { faces } = await vision.analyse(image);
  const [face, other] = largestFirst(faces);
  if (face === undefined) return refuse("no face", "no face was found in it");
  if (other !== undefined && other.quality.widthPx >= face.quality.widthPx * OTHER_FACE_MIN) {
    return refuse("several faces", `${faces.length} faces: only one may be in the photo`, face);
  }
  const [reason] = face.quality.reasons;
  if (!face.quality.usable && reason !== undefined) {
    return refuse(REASONS[reason], `the face is ${REASONS[reason]}`, face);
  }
  const { widthPx, score: quality } = face.quality;
  const [nearest] = await gallery.nearest(vision.pack.id, face.embedding, 1);
  if (nearest !== undefined && nearest.person !== person && nearest.score >= thresholds.match) {
    const likeness = nearest.score.toFixed(3);
    return refuse(
      "nearer to another person",
      `similarity ${likeness} to another enrolled person`,
      face,
    );
  }
  const crop = await encodeCrop(cropFace(image, face));
  const detail = `face ${Math.round(widthPx)} px wide`;
  return { face, crop, report: { taken: true, refusal: null, detail, widthPx, quality } };
}

function draftOf(
  face: EmbeddedFace,
  crop: Buffer,
  from: {
    readonly photo: Photo;
    readonly digest: string;
    readonly person: string;
    readonly actor: string;
    readonly options: EnrolOptions;
  },
): AnyDraft {
  const { photo, digest, person, actor, options } = from;
  const { pack } = options.vision;
  return {
    type: "template.added",
    actor,
    subject: person,
    data: {
      template: options.newId(),
      pack: pack.id,
      dimension: pack.dimension,
      quality: face.quality.score,
      widthPx: Math.round(face.quality.widthPx),
      source: photo.source,
      of: null,
    },
    personal: {
      biometric: {
        embedding: embeddingToBytes(face.embedding).toString("base64"),
        crop: crop.toString("base64"),
        photo: digest,
      },
    },
  };
}
