/** A camera with a restarting source: starts it, splits frames, and restarts it with back-off. */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import type { Camera, CameraStats, Frame } from "./frame.ts";
import { createLatest, type Latest } from "./latest-value.ts";
import { createMjpegSplitter } from "./mjpeg.ts";
import type { StartSource } from "./source.ts";

export interface CameraParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

export interface StreamOptions {
  readonly name: string;
  readonly start: StartSource;
  readonly stallMs: number;
}

/** A camera that was unplugged is looked for this often, at the latest. */
const RESTART_FIRST_MS = 500;
const RESTART_MAX_MS = 30_000;
/** A run that gave this many frames was a good one: the next failure starts the waits anew. */
const GOOD_RUN_FRAMES = 10;

type Counts = { -readonly [K in keyof CameraStats]: number };

/** Reads MJPEG from a source that is restarted with backoff whenever it ends, fails or stalls. */
export function streamCamera(options: StreamOptions, parts: CameraParts): Camera {
  const stats: Counts = { delivered: 0, dropped: 0, damaged: 0, restarts: 0, stalls: 0 };
  let running = false;
  return {
    name: options.name,
    stats,
    async *[Symbol.asyncIterator]() {
      if (running) throw new PorchlightError("camera.busy", `${options.name} is read already`);
      running = true;
      const stop = new AbortController();
      const signal = AbortSignal.any([parts.signal, stop.signal]);
      const latest = createLatest<Frame>();
      const loop = supervise(options, parts, { stats, latest, signal }).then(
        () => latest.end(),
        (error: unknown) => latest.fail(error),
      );
      try {
        for await (const frame of latest) {
          if (signal.aborted) return;
          stats.delivered++;
          yield frame;
        }
      } finally {
        stop.abort();
        await loop;
        running = false;
      }
    },
  };
}

interface Run {
  readonly stats: Counts;
  readonly latest: Latest<Frame>;
  readonly signal: AbortSignal;
}

async function supervise(options: StreamOptions, parts: CameraParts, run: Run): Promise<void> {
  const { stats, signal } = run;
  let attempt = 0;
  let index = 0;
  while (!signal.aborted) {
    const { frames, reason } = await runOnce(options, parts, run, index);
    index += frames;
    if (signal.aborted) return;
    attempt = frames >= GOOD_RUN_FRAMES ? 0 : attempt + 1;
    const waitMs = backoffMs(attempt, {
      firstMs: RESTART_FIRST_MS,
      maxMs: RESTART_MAX_MS,
      random: parts.random,
    });
    stats.restarts++;
    parts.logger.warn("camera lost", { camera: options.name, reason, frames, waitMs });
    await pause(waitMs, signal);
  }
}

/** One run of the source, until it ends, stalls or is asked to stop. */
async function runOnce(
  { name, start, stallMs }: StreamOptions,
  { clock }: CameraParts,
  { stats, latest, signal }: Run,
  firstIndex: number,
): Promise<{ readonly frames: number; readonly reason: string }> {
  const splitter = createMjpegSplitter();
  const damagedBefore = stats.damaged;
  let frames = 0;
  let reason = "";
  let finished = false;
  let finish = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    finish = () => {
      finished = true;
      resolve();
    };
  });
  const stalled = (): void => {
    stats.stalls++;
    reason = `no frame for ${stallMs} ms`;
    finish();
  };
  let watchdog = setTimeout(stalled, stallMs);
  const source = start({
    data(chunk) {
      // What a source still sends while it is being stopped is discarded.
      if (finished) return;
      for (const image of splitter.push(chunk)) {
        clearTimeout(watchdog);
        watchdog = setTimeout(stalled, stallMs);
        const times = { capturedAtMs: clock.now(), monotonicMs: clock.monotonicMs() };
        const frame = { image, ...times, index: firstIndex + frames++, source: name };
        if (!latest.put(frame)) stats.dropped++;
      }
      stats.damaged = damagedBefore + splitter.damaged;
    },
    closed(why) {
      reason ||= why;
      finish();
    },
  });
  signal.addEventListener("abort", finish, { once: true });
  await over;
  signal.removeEventListener("abort", finish);
  clearTimeout(watchdog);
  await source.stop();
  return { frames, reason };
}
