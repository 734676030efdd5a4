import type { PackIdentity } from "../vision/pack.ts";
import type { Thresholds } from "./match.ts";

/** The pack's thresholds, unless the owner has set others. */
export function thresholdsOf(
  set: { readonly match?: number | undefined; readonly margin?: number | undefined },
  pack: Pick<PackIdentity, "thresholds">,
): Thresholds {
  return {
    match: set.match ?? pack.thresholds.match,
    margin: set.margin ?? pack.thresholds.margin,
  };
}

/**
 * Below this, two looks at one place are of two people: the most lenient threshold that was
 * measured for the pack, since it only joins looks of one visit.
 */
export function samePersonOf({ thresholds }: Pick<PackIdentity, "thresholds">): number {
  return Math.min(...thresholds.far.map(({ threshold }) => threshold));
}

/** The same for a face that is in another place, where the strictest one that was measured holds. */
export function samePersonElsewhereOf({ thresholds }: Pick<PackIdentity, "thresholds">): number {
  return Math.max(...thresholds.far.map(({ threshold }) => threshold));
}
