/** The parts of a base backup, as tar reads them: one after the other. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Manifest, partName } from "./base.ts";
import type { Vessel } from "./vessel.ts";

export interface TarEnd {
  readonly code: number | null;
  /** The end of what it said on standard error. */
  readonly complaint: string;
  readonly bytes: number;
}

/** Throws where a part is damaged or missing; what tar thinks of them is in the answer. */
export async function feedTar(
  words: readonly string[],
  vessel: Vessel,
  { id, parts }: Pick<Manifest, "id" | "parts">,
): Promise<TarEnd> {
  const tar = spawn("tar", words, { stdio: ["pipe", "ignore", "pipe"] });
  let complaint = "";
  tar.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = `${complaint}${text}`.slice(-500);
  });
  tar.stdin.on("error", () => undefined);
  const ended = once(tar, "close");
  let bytes = 0;
  try {
    for (let part = 1; part <= parts; part++) {
      const content = await vessel.get(partName(id, part));
      bytes += content.length;
      if (!tar.stdin.write(content)) await Promise.race([once(tar.stdin, "drain"), ended]);
    }
  } finally {
    tar.stdin.end();
  }
  const [code] = await ended;
  return { code, complaint: complaint.trim(), bytes };
}
