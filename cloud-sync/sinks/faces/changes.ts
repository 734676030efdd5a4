/** What entries mean to the face encodings: pure, apart from what opens them. */

import { z } from "zod";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { type Embedding, embeddingFromBytes } from "../../../shared/log/embedding.ts";
import type { OpenPersonal } from "../../keyring/keyring.ts";
import { type Body, type Projected, textColumn } from "../support/decode-entries.ts";

/** The effect of an entry on encodings: add one, delete one, or delete all of a person. */
export const FACE_TYPES = ["template.added", "template.removed", "person.erased"] as const;

export interface Change {
  readonly position: bigint;
  readonly subject: string;
  readonly device: string;
  /** Null: its key is not released, or not yet. */
  readonly added: Added | null;
  readonly erased: boolean;
  /** A template that is compared with nobody any more. */
  readonly removed: string | null;
}

export interface Added {
  readonly template: string;
  readonly device: string;
  readonly pack: string;
  readonly embedding: Embedding;
}

/** More than any recogniser has: a search compares as many figures for each template. */
const DIMENSION_MAX = 4_096;
/** Of unit length, as far as float32 and a device's rounding have it. */
const LENGTH_TOLERANCE = 0.01;

const dataSchema = z.object({
  template: z.uuid().lowercase(),
  pack: textColumn,
  dimension: z.int().min(1).max(DIMENSION_MAX),
});
const removedSchema = z.object({ template: z.uuid().lowercase() });
const contentSchema = z.object({ embedding: z.base64() });
const subjectSchema = z.uuid().lowercase();
/** What an entry changes; null when nothing. */
export async function changeOf(
  { entry, device }: Projected,
  body: Body | null,
  open: OpenPersonal,
): Promise<Change | null> {
  const { type, log, seq, position } = entry;
  if (body === null) return null;
  if (type === "person.erased") {
    const subject = subjectSchema.parse(entry.subject);
    return { position, subject, device, added: null, erased: true, removed: null };
  }
  if (type === "template.removed") {
    const subject = subjectSchema.parse(entry.subject);
    const { template: removed } = removedSchema.parse(body.data);
    return { position, subject, device, added: null, erased: false, removed };
  }
  const sealed = body.sealed?.["biometric"];
  if (type !== "template.added" || sealed === undefined) return null;
  const subject = subjectSchema.parse(entry.subject);
  const plain = await open({ log, seq, type, subject, class: "biometric" }, sealed);
  const place = { position, subject, device, erased: false, removed: null };
  if (plain === null) return { ...place, added: null };
  const { template, pack, dimension } = dataSchema.parse(body.data);
  const embedding = embeddingOf(plain, dimension);
  return { ...place, added: { template, device, pack, embedding } };
}

/** Whoever is longer would be the nearest to everybody; NaN and infinity have no length. */
function hasUnitLength(values: Embedding): boolean {
  return Math.abs(Math.hypot(...values) - 1) <= LENGTH_TOLERANCE;
}

function embeddingOf(plain: Buffer, dimension: number): Embedding {
  try {
    const { embedding } = contentSchema.parse(JSON.parse(plain.toString("utf8")));
    const values = embeddingFromBytes(Buffer.from(embedding, "base64"));
    if (values.length === dimension && hasUnitLength(values)) return values;
  } catch {
    // What it says may quote what it read: a face does not belong into a reason.
  }
  throw new PorchlightError(
    "face.embedding",
    "what was sealed is no embedding of its dimension and of unit length",
    {
      remedy: "reject",
    },
  );
}
