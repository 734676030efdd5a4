/** Whether a backup can be restored, as far as that can be told without doing it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { PorchlightError } from "../../shared/core/errors.ts";
import { type Manifest, partName } from "./base.ts";
import { holeIn, isSegment, placeOf } from "./segments.ts";
import type { Vessel } from "./vessel.ts";
import { WAL } from "./wal.ts";

export interface Verified {
  readonly id: string;
  readonly bytes: number;
  /** Segments that were read, from the first that it needs to the newest. */
  readonly segments: number;
}

/** Reads all of it. Throws `backup.damaged` or `backup.missing`, which name what is wrong. */
export async function verifyBase(vessel: Vessel, manifest: Manifest): Promise<Verified> {
  const { id, parts, firstWal, lastWal } = manifest;
  const reader = spawn("tar", ["--list", "--file=-"], { stdio: ["pipe", "ignore", "ignore"] });
  reader.stdin.on("error", () => undefined);
  const ended = once(reader, "close");
  let bytes = 0;
  try {
    for (let part = 1; part <= parts; part++) {
      const content = await vessel.get(partName(id, part));
      bytes += content.length;
      if (!reader.stdin.write(content)) await Promise.race([once(reader.stdin, "drain"), ended]);
    }
  } finally {
    reader.stdin.end();
  }
  const [code] = await ended;
  if (code !== 0 || bytes !== manifest.bytes) throw damaged(`${id} has ${bytes} bytes, torn`);
  const kept = await walFrom(vessel, firstWal);
  if (!kept.includes(lastWal)) throw damaged(`the log that ${id} needs, ${lastWal}, is missing`);
  const hole = holeIn(firstWal, kept);
  if (hole !== null) throw damaged(`the log after ${id} has a hole at segment ${hole}`);
  for (const name of kept) await vessel.get(`${WAL}${name}`);
  return { id, bytes, segments: kept.filter(isSegment).length };
}

/** Segments from this one on, and the histories of timelines, in their order. */
export async function walFrom(vessel: Vessel, first: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { key } of vessel.list(WAL)) {
    const name = key.slice(WAL.length);
    const needed = isSegment(name) ? placeOf(name) >= placeOf(first) : name.endsWith(".history");
    if (needed) names.push(name);
  }
  return names.sort();
}

function damaged(what: string): PorchlightError {
  return new PorchlightError("backup.damaged", what, {
    hint: "make another: porchlight-cloud backup create; see which are whole: porchlight-cloud backup verify",
  });
}
