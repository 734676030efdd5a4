/** The first half of enrolment: what is in each photo. It asks nothing of who is enrolled. */
import { createHash } from "node:crypto";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { TemplateSource } from "../../shared/log/entry.ts";
import { cropFace, encodeCrop } from "../vision/crop.ts";
import { type EmbeddedFace, largestFirst, type QualityReason } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import type { Vision } from "../vision/vision.ts";

export interface Photo {
  /** Shown in the report: a file name, "camera", or "visit". */
  readonly name: string;
  readonly bytes: Buffer;
  readonly source: TemplateSource;
}

/** Why a photo has no face that could become a template. */
export type PhotoFault =
  | "unreadable"
  | "no face"
  | "several faces"
  | "too small"
  | "blurred"
  | "turned away"
  | "too dark"
  | "overexposed"
  | "covered";

export interface PhotoFace {
  readonly face: EmbeddedFace;
  readonly crop: Buffer;
}

export interface SeenPhoto {
  readonly name: string;
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly source: TemplateSource;
  readonly detail: string;
  readonly widthPx: number | null;
  readonly quality: number | null;
  readonly found: PhotoFace | PhotoFault;
}

/** Another face at least this large, compared with the largest, makes it unclear who is meant. */
const OTHER_FACE_MIN = 0.6;

const REASONS: Readonly<Record<QualityReason, PhotoFault>> = {
  small: "too small",
  blurred: "blurred",
  turned: "turned away",
  dark: "too dark",
  overexposed: "overexposed",
  covered: "covered",
};

export interface LookOptions {
  readonly vision: Vision;
  /** Photos are decoded at most this large. */
  readonly maxSidePx: number;
}

/** Looks at photos in their order; `seen` is called after each. */
export async function lookAtPhotos(
  photos: AsyncIterable<Photo> | Iterable<Photo>,
  options: LookOptions,
  seen: (photo: SeenPhoto) => void,
): Promise<SeenPhoto[]> {
  const all: SeenPhoto[] = [];
  for await (const photo of photos) {
    const looked = await lookAt(photo, options);
    all.push(looked);
    seen(looked);
  }
  return all;
}

async function lookAt(photo: Photo, { vision, maxSidePx }: LookOptions): Promise<SeenPhoto> {
  const { name, source } = photo;
  const digest = createHash("sha256").update(photo.bytes).digest("hex");
  const refuse = (found: PhotoFault, detail: string, face?: EmbeddedFace): SeenPhoto => {
    const { widthPx = null, score: quality = null } = face?.quality ?? {};
    return { name, digest, source, detail, widthPx, quality, found };
  };
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
  const crop = await encodeCrop(cropFace(image, face));
  const detail = `face ${Math.round(widthPx)} px wide`;
  return { name, digest, source, detail, widthPx, quality, found: { face, crop } };
}
