/** The crop that was sealed with a template when its person was enrolled. */
import { PorchlightError } from "../../shared/core/errors.ts";
import { knownEntry, parseEntry } from "../../shared/log/entry.ts";
import type { EventLog } from "../log/event-log.ts";
import { openPersonal } from "../log/open-entry.ts";
import type { SubjectKeys } from "../log/subject-keys.ts";
import type { EnrolledCrop } from "../recognition/reembed.ts";
import type { Template } from "../recognition/template.ts";

export interface EnrolledCropParts {
  readonly log: Pick<EventLog, "readAfter">;
  readonly keyring: Pick<SubjectKeys, "open">;
}

/** Null when none was kept, or its key was destroyed. Throws `template.entry.missing`. */
export function enrolledCrop(
  { log, keyring }: EnrolledCropParts,
  { seq }: Pick<Template, "seq">,
): EnrolledCrop | null {
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
