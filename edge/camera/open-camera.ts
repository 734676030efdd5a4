import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import type { Logger } from "../../shared/logger.ts";
import { pause } from "../../shared/retry.ts";
import type { CameraConfig } from "./config.ts";
import type { Camera } from "./frame.ts";

export function openCamera(
  config: CameraConfig,
  { clock, signal }: { clock: Clock; logger: Logger; random: () => number; signal: AbortSignal },
): Camera {
  const stats = { delivered: 0, dropped: 0, damaged: 0, restarts: 0, stalls: 0 };
  const files = config.paths.flatMap((p) =>
    statSync(p).isDirectory()
      ? readdirSync(p)
          .sort()
          .map((f) => join(p, f))
      : [p],
  );
  return {
    name: config.name,
    stats,
    async *[Symbol.asyncIterator]() {
      do {
        for (const file of files) {
          if (signal.aborted) return;
          yield {
            image: readFileSync(file),
            capturedAtMs: clock.now(),
            monotonicMs: clock.monotonicMs(),
            index: stats.delivered++,
            source: file,
          };
          await pause(1000 / config.framesPerSecond, signal);
        }
      } while (config.loop);
    },
  };
}
