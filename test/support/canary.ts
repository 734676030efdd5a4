import { embeddingToBytes } from "../../shared/log/embedding.ts";
import { CANARY_NAME, canaryFace } from "./facts.ts";

/** The bytes of a picture, to look for where nobody may find them. */
export const CROP = Buffer.from("canary-crop".repeat(400));

/** Every form in which a name or a face could be written down by mistake. */
function traces(): Map<string, Buffer> {
  const name = Buffer.from(CANARY_NAME, "utf8");
  const face = embeddingToBytes(canaryFace());
  const found = new Map<string, Buffer>([
    ["the name", name],
    ["a part of the name", Buffer.from("Canary-Kiebitz")],
    ["the name in UTF-16", Buffer.from(CANARY_NAME, "utf16le")],
    ["the name in hex", Buffer.from(name.toString("hex"))],
    ["the crop", CROP.subarray(0, 64)],
    ["the face in base64", Buffer.from(face.toString("base64").slice(0, 40))],
    ["the face in hex", Buffer.from(face.toString("hex").slice(0, 32))],
    ["the face as text", Buffer.from(String(canaryFace()[0]).slice(0, 10))],
  ]);
  for (let at = 0; at < face.length; at += 64) {
    found.set(`the face from byte ${at}`, face.subarray(at, at + 8));
  }
  for (const shift of [0, 1, 2]) {
    // Base64 depends on where in a group of three the name begins; its inner part does not vary.
    const text = Buffer.concat([Buffer.alloc(shift), name]).toString("base64");
    found.set(`the name in base64, shifted ${shift}`, Buffer.from(text.slice(4, -4)));
  }
  return found;
}

/** Which of them are in these bytes. */
export function tracesIn(bytes: Buffer): string[] {
  return [...traces()].filter(([, trace]) => bytes.includes(trace)).map(([what]) => what);
}
