/** Whether a backup can be restored, as far as that can be told without doing it. */
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Manifest } from "./base.ts";
import { holeIn, isSegment, placeOf } from "./segments.ts";
import { feedTar } from "./tar.ts";
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
  const { id, firstWal, lastWal } = manifest;
  const { code, bytes } = await feedTar(["--list", "--file=-"], vessel, manifest);
  if (code !== 0 || bytes !== manifest.bytes) throw damaged(`${id} has ${bytes} bytes, torn`);
  const kept = walFrom(firstWal, await keptWal(vessel));
  if (!kept.includes(lastWal)) throw damaged(`the log that ${id} needs, ${lastWal}, is missing`);
  const hole = holeIn(firstWal, kept);
  if (hole !== null) throw damaged(`the log after ${id} has a hole at segment ${hole}`);
  for (const name of kept) await vessel.get(`${WAL}${name}`);
  return { id, bytes, segments: kept.filter(isSegment).length };
}

/** Every file of the log that is kept, in the order of their names. */
export async function keptWal(vessel: Vessel): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { key } of vessel.list(WAL)) names.push(key.slice(WAL.length));
  return names.sort();
}

/** Of those the segments from this one on, and the histories of timelines. */
export function walFrom(first: string, kept: readonly string[]): readonly string[] {
  return kept.filter((name) =>
    isSegment(name) ? placeOf(name) >= placeOf(first) : name.endsWith(".history"),
  );
}

function damaged(what: string): PorchlightError {
  return new PorchlightError("backup.damaged", what, {
    hint: "make another: porchlight-cloud backup create; see which are whole: porchlight-cloud backup verify",
  });
}
