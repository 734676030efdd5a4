/** Gives everybody templates of another pack, from the crops sealed at enrolment. */

import { PorchlightError } from "../../shared/core/errors.ts";
import { embeddingToBytes } from "../../shared/log/embedding.ts";
import { knownEntry } from "../../shared/log/entry.ts";
import type { AnyDraft, EventLog } from "../log/event-log.ts";
import { openPersonal, parseEntry } from "../log/open-entry.ts";
import type { Keyring } from "../store/keyring.ts";
import { largestFirst } from "../vision/face.ts";
import { decodeImage } from "../vision/image.ts";
import type { Vision } from "../vision/vision.ts";
import type { Gallery, Template } from "./gallery.ts";

export interface ReembedParts {
  readonly vision: Vision;
  readonly gallery: Pick<Gallery, "templates">;
  readonly log: Pick<EventLog, "readAfter">;
  readonly keyring: Pick<Keyring, "open">;
  readonly newId: () => string;
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
  const crop = cropOf(template, parts);
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

function cropOf(
  { seq }: Template,
  { log, keyring }: ReembedParts,
): { readonly jpeg: Buffer; readonly photo: string | null } | null {
  const [stored] = log.readAfter(seq - 1, 1);
  const entry = stored?.body == null ? null : knownEntry(parseEntry(stored.body));
  if (entry?.type !== "template.added") {
    throw new PorchlightError("template.entry.missing", `entry ${seq} is not the template's`, {
      hint: "rebuild the gallery from the log: porchlight store rebuild",
    });
  }
  const personal = openPersonal(entry, keyring);
  if (personal === null || personal.biometric.crop === null) return null;
  return { jpeg: Buffer.from(personal.biometric.crop, "base64"), photo: personal.biometric.photo };
}
