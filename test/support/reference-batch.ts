import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { z } from "zod";

/** A batch as another program would read it. */
export interface ReferenceBatch {
  readonly log: string;
  readonly seq: number;
  readonly previous: string;
  readonly hashes: readonly string[];
}

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const header = z.strictObject({
  log: z.uuid().lowercase(),
  seq: z.int().min(1),
  previous: hex,
  head: hex,
});
const EMPTIED = /^\{"hash":"([0-9a-f]{64})","seq":([0-9]+)\}$/;

/**
 * Reads a batch as docs/sync.md and shared/protocol/batch.ts describe it, the slow and simple way, to be held
 * against the real one. Null when it is none.
 */
export function referenceBatch(payload: Buffer): ReferenceBatch | null {
  try {
    if (payload.length > 1024 * 1024) return null;
    const packed = payload.subarray(0, 2).toString("hex") === "1f8b";
    const plain = packed ? gunzipSync(payload, { maxOutputLength: 4 * 1024 * 1024 }) : payload;
    const [first = "", ...lines] = plain.toString("latin1").split("\n");
    if (first.length >= 512 || lines.pop() !== "" || lines.length === 0 || lines.length > 1_000)
      return null;
    const { head, ...at } = header.parse(JSON.parse(Buffer.from(first, "latin1").toString("utf8")));
    let hash = at.previous;
    const hashes = lines.map((line, i) => {
      const [, own, seq] = EMPTIED.exec(line) ?? [];
      if (line.startsWith('{"hash":"')) {
        if (own === undefined || Number(seq) !== at.seq + i) throw new Error("no emptied entry");
        hash = own;
      } else {
        const bytes = Buffer.concat([Buffer.from(hash, "hex"), Buffer.from(line, "latin1")]);
        hash = createHash("sha256").update(bytes).digest("hex");
      }
      return hash;
    });
    return hash === head ? { ...at, hashes } : null;
  } catch {
    return null; // whatever it was, it was no batch
  }
}
