/** Crops of faces: sealed, stored in files beside the log, and logged with the key that opens each. */
import { createHash, randomBytes } from "node:crypto";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft, Draft } from "../../shared/log/draft.ts";
import { SUBJECT_KEY_BYTES, sealObject } from "../../shared/log/seal.ts";
import { diskFull, isDiskFull } from "../host/disk-full.ts";
import type { MediaFiles } from "./media-files.ts";

export interface CropFiles {
  readonly files: Pick<MediaFiles, "write" | "remove">;
  /** Empty where the disk took nothing. */
  readonly append: (drafts: readonly AnyDraft[]) => readonly Cursor[];
  readonly newId: () => string;
}

/** The best crops of one decision, JPEG, best first. */
export interface VisitCrops {
  readonly visit: string;
  readonly revision: number;
  readonly crops: readonly Buffer[];
}

/** After the decision, which is in the log whether they can be stored or not. */
export async function storeVisitCrops(
  { visit, revision, crops }: VisitCrops,
  parts: CropFiles & { readonly logger: Logger },
): Promise<void> {
  try {
    await storeAndAppend(parts, async (store) => {
      const drafts: AnyDraft[] = [];
      for (const jpeg of crops) {
        const { object, personal } = await store(jpeg);
        const data = { ...object, revision, visit };
        drafts.push({ type: "crop.captured", actor: "device", subject: visit, data, personal });
      }
      return drafts;
    });
  } catch (error) {
    // Also when the visitor was erased meanwhile.
    if (!(error instanceof PorchlightError) && !isDiskFull(error)) throw error;
    parts.logger.warn("crops not stored", { visit, reason: messageOf(error) });
  }
}

/** The facts of an enrolment, with the crops of its templates out of them: all together, or none. */
export async function appendEnrolment(
  facts: readonly AnyDraft[],
  parts: CropFiles,
): Promise<readonly Cursor[]> {
  try {
    return await storeAndAppend(parts, async (store) => {
      const drafts: AnyDraft[] = [];
      for (const fact of facts) {
        const crop = fact.type === "template.added" ? fact.personal?.biometric.crop : null;
        if (fact.type !== "template.added" || fact.personal === undefined || crop == null) {
          drafts.push(fact);
          continue;
        }
        const { actor, subject = null, data } = fact;
        const { object, personal } = await store(Buffer.from(crop, "base64"));
        const biometric = { ...fact.personal.biometric, crop: null };
        drafts.push({ ...fact, personal: { biometric } });
        const of = { ...object, template: data.template };
        drafts.push({ type: "crop.enrolled", actor, subject, data: of, personal });
      }
      return drafts;
    });
  } catch (error) {
    throw isDiskFull(error) ? diskFull(error) : error;
  }
}

interface StoredCrop {
  readonly object: Pick<Draft<"crop.captured">["data"], "bytes" | "crop" | "sha256">;
  readonly personal: { readonly biometric: { readonly digest: string; readonly key: string } };
}

/** No file stays whose entry was not written. */
async function storeAndAppend(
  { files, append, newId }: CropFiles,
  draftsOf: (store: (jpeg: Buffer) => Promise<StoredCrop>) => Promise<readonly AnyDraft[]>,
): Promise<readonly Cursor[]> {
  const written: string[] = [];
  let cursors: readonly Cursor[] = [];
  try {
    const drafts = await draftsOf(async (jpeg) => {
      const crop = newId();
      const key = randomBytes(SUBJECT_KEY_BYTES);
      const sealed = sealObject(key, crop, jpeg);
      const sha256 = await files.write(sealed);
      written.push(sha256);
      const digest = createHash("sha256").update(jpeg).digest("hex");
      return {
        object: { bytes: sealed.length, crop, sha256 },
        personal: { biometric: { digest, key: key.toString("base64") } },
      };
    });
    if (drafts.length > 0) cursors = append(drafts);
    return cursors;
  } finally {
    if (cursors.length === 0) for (const sha256 of written) files.remove(sha256);
  }
}
