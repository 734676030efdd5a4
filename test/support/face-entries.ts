import { randomUUID } from "node:crypto";
import type { StoredEntry } from "../../cloud-sync/log/event-log.ts";
import { type Embedding, embeddingToBytes } from "../../shared/log/embedding.ts";

/** Entries about faces, as the sink reads them; what is sealed is only in base64. */
export const LOG = randomUUID();
export const DEVICE = randomUUID();
export const PACK = "test@1";
export function entry(
  position: number,
  type: string,
  subject: string,
  data: object,
  plain = "",
): StoredEntry {
  const sealed = plain === "" ? null : { biometric: Buffer.from(plain).toString("base64") };
  return {
    position: BigInt(position),
    log: LOG,
    seq: position,
    hash: "",
    body: JSON.stringify({ clock: "synced", data, sealed }),
    type,
    at: 0,
    subject,
    actor: "device",
    receivedAt: new Date(0),
  };
}

export function added(
  position: number,
  subject: string,
  face: Embedding,
  pack = PACK,
): StoredEntry {
  const template = `00000000-0000-4000-8000-${String(position).padStart(12, "0")}`;
  const content = { crop: null, embedding: embeddingToBytes(face).toString("base64"), photo: null };
  const data = { template, pack, dimension: face.length };
  return entry(position, "template.added", subject, data, JSON.stringify(content));
}
