/** What the tracker is told of the configuration and of the pack. */
import type { Logger } from "../../shared/core/logger.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { framePeriodMsOf } from "../config/times.ts";
import type { Thresholds } from "../recognition/match.ts";
import { createStillPictures, type StillPictures } from "../recognition/still-pictures.ts";
import {
  samePersonElsewhereOf,
  samePersonOf,
  stillLikenessOf,
  thresholdProblems,
  thresholdsOf,
} from "../recognition/thresholds.ts";
import type { TrackOptions } from "../recognition/track.ts";
import type { VisitBudget } from "../recognition/visit-budget.ts";
import type { PackIdentity } from "../vision/pack.ts";

export interface TrackingParts {
  readonly config: () => DeviceConfig;
  readonly newId: () => string;
  readonly logger: Logger;
}

/** Says, once for each configuration in force, which thresholds are not applied, and why. */
export function createThresholdCheck(
  { config, logger }: TrackingParts,
  pack: PackIdentity,
): () => void {
  let checked: DeviceConfig | undefined;
  const check = (): void => {
    const current = config();
    if (current === checked) return;
    checked = current;
    const hint = "see what is wrong: porchlight config check";
    for (const problem of thresholdProblems(current.recognition, pack)) {
      logger.error(problem, { code: "config.thresholds", hint });
    }
  };
  check();
  return check;
}

export function trackOptions(
  parts: TrackingParts,
  pack: PackIdentity,
  budget: VisitBudget,
): TrackOptions {
  const { camera } = parts.config();
  return {
    get thresholds(): Thresholds {
      return thresholdsOf(parts.config().recognition, pack);
    },
    get absentMs(): number {
      return parts.config().recognition.absentMs;
    },
    get decideAfterMs(): number {
      return parts.config().recognition.decideAfterMs;
    },
    pack: pack.id,
    samePerson: samePersonOf(pack),
    samePersonElsewhere: samePersonElsewhereOf(pack),
    framePeriodMs: camera === undefined ? null : framePeriodMsOf(camera),
    budget,
    stills: stillsOf(pack, parts.logger),
    newId: parts.newId,
  };
}

function stillsOf(pack: PackIdentity, logger: Logger): StillPictures {
  const likeness = stillLikenessOf(pack);
  return createStillPictures({
    likeness,
    told: ({ camera, box: { x, y, width, height } }) => {
      const middle = { x: Math.round(x + width / 2), y: Math.round(y + height / 2) };
      logger.warn("a picture of a face is in view: it is recorded once", {
        camera,
        ...middle,
        hint: "cover its place with a polygon in camera.ignore",
      });
    },
  });
}
