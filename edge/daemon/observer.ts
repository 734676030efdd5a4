import type { Logger } from "../../shared/core/logger.ts";
import type { CameraStats } from "../camera/frame.ts";
import type { Notifier } from "../host/sd-notify.ts";
import type { TrackEvent } from "../recognition/track.ts";
import type { VisitBudget } from "../recognition/visit-budget.ts";
import type { OwnerSocket } from "./owner-socket.ts";
import type { PipelineObserver } from "./pipeline.ts";
import type { createSampler } from "./telemetry.ts";
import type { Watchdog } from "./watchdog.ts";

export interface ObserverParts {
  readonly notifier: Notifier;
  /** One line of JSON for each event, without its newline. */
  readonly emit: (line: string) => void;
  readonly watch?: PipelineObserver;
  readonly logger: Logger;
  readonly owner: OwnerSocket;
  readonly watchdog: Watchdog;
}

/** What of the pipeline goes to systemd, telemetry, the owner's commands and other programs. */
export function observe(
  { notifier, emit, watch, logger, owner, watchdog }: ObserverParts,
  camera: { readonly stats: CameraStats },
  sampled: (metrics: Record<string, number>) => void,
  sampler: ReturnType<typeof createSampler>,
  budget: VisitBudget,
  checkThresholds: () => void,
): PipelineObserver {
  let facesLeftOut = 0;
  let visitsLeftOut = 0;
  const leftOut = (): Record<string, number> => {
    const counts = { facesLeftOut, visitsLeftOut: Math.max(0, budget.leftOut - visitsLeftOut) };
    facesLeftOut = 0;
    visitsLeftOut = budget.leftOut;
    if (counts.visitsLeftOut > 0)
      logger.warn("visits over recognition.visitsPerHour were left out", {
        visits: counts.visitsLeftOut,
      });
    return counts;
  };
  return {
    began: watchdog.began,
    done: watchdog.done,
    crowded(faces) {
      facesLeftOut += faces;
    },
    frame(frame, image, sightings, times) {
      owner.frame(frame.image);
      checkThresholds();
      const metrics = sampler.add(times, sightings.length, camera.stats);
      if (metrics !== null) {
        sampled({ ...metrics, ...leftOut() });
        notifier.status(`${metrics["framesPerSecond"]?.toFixed(1)} frames/s`);
      }
      watch?.frame(frame, image, sightings, times);
    },
    event(event, seq) {
      emit(JSON.stringify(lineOf(event, seq)));
      if (event.kind === "recognised") notifier.status(`last decision: ${event.decision.outcome}`);
      watch?.event(event, seq);
    },
    damaged(frame, error) {
      logger.debug("frame skipped", { index: frame.index, code: error.code });
      watch?.damaged(frame, error);
    },
  };
}

/** An event for other programs: pseudonymous ids and measurements, never a name. */
function lineOf(event: TrackEvent, seq: number): Record<string, unknown> {
  const { kind, visit } = event;
  const head = { event: `visit.${kind}`, seq, visit };
  if (kind === "started") return { ...head, camera: event.camera };
  if (kind === "ended") {
    return { ...head, outcome: event.outcome, durationMs: event.durationMs, frames: event.frames };
  }
  const { outcome, person, score, margin } = event.decision;
  return { ...head, revision: event.revision, outcome, person, score, margin };
}
