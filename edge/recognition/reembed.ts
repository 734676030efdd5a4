/** Gives everybody templates of another pack, from the crops sealed at enrolment. */

import type { AnyDraft } from "../../shared/log/draft.ts";
import { embeddingToBytes } from "../../shared/log/embedding.ts";
import { largestFirst } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import type { Vision } from "../vision/vision.ts";
import type { Template, TemplateGallery } from "./template.ts";

export interface ReembedParts {
  readonly vision: Vision;
  readonly gallery: Pick<TemplateGallery, "templates">;
  /** What was sealed with a template at enrolment; null when there is no crop, or its key is gone. */
  readonly crop: (template: Template) => EnrolledCrop | null;
  readonly newId: () => string;
}

export interface EnrolledCrop {
  readonly jpeg: Buffer;
  /** SHA-256 of the photo that it was cut from. */
  readonly photo: string | null;
}

export interface Reembedded {
  readonly template: Template;
  /** Null when the new pack finds no usable face in the crop, or none was kept. */
  readonly draft: AnyDraft | null;
}

/** Templates of other packs that this one has not embedded yet, each from its original crop. */
export function pendingTemplates({ vision, gallery }: ReembedParts): readonly Template[] {
  const all = gallery.templates();
  const done = new Set(all.filter(({ pack }) => pack === vision.pack.id).map(({ of }) => of));
  return all.filter(
    ({ id, pack, source }) => pack !== vision.pack.id && source !== "reembedding" && !done.has(id),
  );
}

export async function reembed(
  template: Template,
  parts: ReembedParts,
  actor: string,
): Promise<Reembedded> {
  const crop = parts.crop(template);
  if (crop === null) return { template, draft: null };
  const { vision, newId } = parts;
  const { faces } = await vision.analyse(await decodeImage(crop.jpeg));
  const [face] = largestFirst(faces);
  if (face === undefined || !face.quality.usable) return { template, draft: null };
  const draft: AnyDraft = {
    type: "template.added",
    actor,
    subject: template.person,
    data: {
      template: newId(),
      pack: vision.pack.id,
      dimension: vision.pack.dimension,
      quality: face.quality.score,
      widthPx: Math.round(face.quality.widthPx),
      source: "reembedding",
      of: template.id,
    },
    personal: {
      biometric: {
        embedding: embeddingToBytes(face.embedding).toString("base64"),
        crop: null,
        photo: crop.photo,
      },
    },
  };
  return { template, draft };
}
