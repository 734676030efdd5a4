import type { PackIdentity } from "../vision/pack.ts";
import type { Thresholds } from "./match.ts";

/** What the owner has set, by name of the pack that it was measured for. */
export interface SetThresholds {
  readonly match?: Readonly<Record<string, number>> | undefined;
  readonly margin?: Readonly<Record<string, number>> | undefined;
}

/** The pack and what was measured of it. */
export type MeasuredPack = Pick<PackIdentity, "name"> & {
  readonly thresholds: Pick<PackIdentity["thresholds"], "match" | "margin" | "far">;
};

/** The pack's thresholds, unless the owner has set others for this pack that are within its range. */
export function thresholdsOf(set: SetThresholds, pack: MeasuredPack): Thresholds {
  const match = set.match?.[pack.name];
  const inRange = match !== undefined && match >= samePersonOf(pack);
  return {
    match: inRange ? match : pack.thresholds.match,
    margin: set.margin?.[pack.name] ?? pack.thresholds.margin,
  };
}

/** What was set and does not hold with this pack, in words. */
export function thresholdProblems(set: SetThresholds, pack: MeasuredPack): string[] {
  const least = samePersonOf(pack);
  const match = set.match?.[pack.name];
  const { thresholds, name } = pack;
  const tooLow =
    match !== undefined && match < least
      ? [
          `recognition.match.${name}: ${match} is not applied: below ${least} more than 1 of 100 strangers is taken for an enrolled person (the pack's own: ${thresholds.match})`,
        ]
      : [];
  const others = (["match", "margin"] as const).flatMap((key) => {
    const packs = Object.keys(set[key] ?? {});
    if (packs.length === 0 || packs.includes(name)) return [];
    const own = thresholds[key];
    return [
      `recognition.${key} is not applied: it is of ${packs.join(", ")}, and the pack in use is ${name}, whose own ${own} holds (porchlight evaluate --calibrate)`,
    ];
  });
  return [...tooLow, ...others];
}

/**
 * Below this, two looks at one place are of two people: the most lenient threshold that was
 * measured for the pack, since it only joins looks of one visit.
 */
export function samePersonOf({ thresholds }: MeasuredPack): number {
  return Math.min(...thresholds.far.map(({ threshold }) => threshold));
}

/** The same for a face that is in another place, where the strictest one that was measured holds. */
export function samePersonElsewhereOf({ thresholds }: MeasuredPack): number {
  return Math.max(...thresholds.far.map(({ threshold }) => threshold));
}

/** Of the way from a likeness that two people may have to that of one and the same picture. */
const STILL_PART = 0.75;

/**
 * From here on two looks are at one picture: encoded anew, blurred or darkened it stays above 0.996
 * with the default pack and above 0.86 with SFace, and the limits are 0.98 and 0.8. Whoever comes
 * back has turned and moved by then.
 */
export function stillLikenessOf(pack: MeasuredPack): number {
  const least = samePersonOf(pack);
  return least + STILL_PART * (1 - least);
}
