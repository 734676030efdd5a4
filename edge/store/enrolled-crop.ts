/** The crops that were kept of a template, and of a visit: from their files, or from entries of old. */
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { knownEntry, parseEntry } from "../../shared/log/entry.ts";
import { openPersonal } from "../log/open-entry.ts";
import { appendEnrolment } from "../media/crops.ts";
import type { EnrolledCrop } from "../recognition/reembed.ts";
import type { Template } from "../recognition/template.ts";
import { openObject } from "../vault/objects.ts";
import type { Visit } from "../vault/visits.ts";
import type { Store } from "./open-store.ts";

export type CropsParts = Pick<Store, "log" | "keyring" | "crops" | "mediaFiles">;

/** Null when none was kept, or its key was destroyed. Throws `template.entry.missing`. */
export function enrolledCrop(
  parts: CropsParts,
  { id, seq }: Pick<Template, "id" | "seq">,
): EnrolledCrop | null {
  const entry = entryAt(parts, seq);
  if (entry?.type !== "template.added") {
    throw new PorchlightError("template.entry.missing", `entry ${seq} is not the template's`, {
      hint: "rebuild the gallery from the log: porchlight store rebuild",
    });
  }
  const personal = openPersonal(entry, parts.keyring);
  if (personal === null) return null;
  const { crop, photo } = personal.biometric;
  const place = parts.crops.ofTemplate(id);
  const stored = place === null ? null : openObject(place, filesOf(parts));
  const jpeg = stored ?? (crop === null ? null : Buffer.from(crop, "base64"));
  return jpeg === null ? null : { jpeg, photo };
}

/** The facts of an enrolment, and their crops into files. Throws `disk.full`. */
export async function appendEnrolled(
  { mediaFiles: files, append }: Pick<Store, "mediaFiles" | "append">,
  facts: readonly AnyDraft[],
  newId: () => string,
): Promise<readonly Cursor[]> {
  return await appendEnrolment(facts, { files, append, newId });
}

/** Best first; none where they were given up, or their keys are destroyed. */
export function visitCrops(
  parts: CropsParts,
  { id, decidedSeq }: Pick<Visit, "id" | "decidedSeq">,
): readonly Buffer[] {
  const places = parts.crops.ofVisit(id);
  if (places.length > 0) {
    const opened = places.map((place) => openObject(place, filesOf(parts)));
    return opened.filter((jpeg) => jpeg !== null);
  }
  const entry = decidedSeq === null ? null : entryAt(parts, decidedSeq);
  const personal = entry?.type === "visit.recognised" ? openPersonal(entry, parts.keyring) : null;
  return personal?.biometric.crops.map((crop) => Buffer.from(crop, "base64")) ?? [];
}

function filesOf({ log, keyring, mediaFiles: files }: CropsParts) {
  return { log, keyring, files };
}

function entryAt({ log }: CropsParts, seq: number) {
  const [stored] = log.readAfter(seq - 1, 1);
  return stored?.body == null ? null : knownEntry(parseEntry(stored.body));
}
