import type { Clock } from "../../shared/core/clock.ts";
import type { CameraStats } from "../camera/frame.ts";
import type { FrameTimes } from "./pipeline.ts";

/** Telemetry: aggregates frame metrics, and emits them once an interval. */
export interface Sampler {
  /** The metrics of the interval that has just ended, or null. */
  add(times: FrameTimes, faces: number, camera: CameraStats): Record<string, number> | null;
}

const MIB = 1024 * 1024;
const DECIMALS = 100;

/** Frames per second, p50 and p95 of each stage in ms, faces, memory, and what the camera lost. */
export function createSampler(intervalMs: number, clock: Pick<Clock, "monotonicMs">): Sampler {
  let since = clock.monotonicMs();
  let frames: FrameTimes[] = [];
  let faces = 0;
  return {
    add(times, found, camera) {
      frames.push(times);
      faces += found;
      const elapsedMs = clock.monotonicMs() - since;
      if (elapsedMs < intervalMs) return null;
      const metrics = {
        framesPerSecond: rounded((frames.length * 1000) / elapsedMs),
        faces,
        decodeMsP50: percentile(frames, "decodeMs", 0.5),
        detectMsP50: percentile(frames, "detectMs", 0.5),
        embedMsP50: percentile(frames, "embedMs", 0.5),
        matchMsP50: percentile(frames, "matchMs", 0.5),
        totalMsP50: percentile(frames, "totalMs", 0.5),
        totalMsP95: percentile(frames, "totalMs", 0.95),
        residentMiB: rounded(process.memoryUsage.rss() / MIB),
        framesDropped: camera.dropped,
        framesDamaged: camera.damaged,
        cameraRestarts: camera.restarts,
        cameraStalls: camera.stalls,
      };
      since = clock.monotonicMs();
      frames = [];
      faces = 0;
      return metrics;
    },
  };
}

function percentile(frames: readonly FrameTimes[], key: keyof FrameTimes, part: number): number {
  const sorted = frames.map((times) => times[key]).sort((a, b) => a - b);
  return rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
}

function rounded(value: number): number {
  return Math.round(value * DECIMALS) / DECIMALS;
}
