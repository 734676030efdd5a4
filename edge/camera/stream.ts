/** A camera with a restarting source: starts it, splits frames, and restarts it with back-off. */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import { type Camera, type CameraState, type CameraStats, type Frame, NO_FRAMES } from "./frame.ts";
import { createFrozenPicture, FROZEN_AFTER_MS, type FrozenPicture } from "./frozen.ts";
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
  const stats: Counts = { ...NO_FRAMES };
  const states = createStates(parts.clock);
  let running = false;
  return {
    name: options.name,
    stats,
    state: states.current,
    async *[Symbol.asyncIterator]() {
      if (running) throw new PorchlightError("camera.busy", `${options.name} is read already`);
      running = true;
      const stop = new AbortController();
      const signal = AbortSignal.any([parts.signal, stop.signal]);
      const latest = createLatest<Frame>();
      const loop = supervise(options, parts, { stats, states, latest, signal }).then(
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

interface States {
  current(): CameraState;
  enter(state: CameraState["state"], reason?: string): void;
  frame(): void;
}

function createStates({ now }: Pick<Clock, "now">): States {
  let state: CameraState["state"] = "starting";
  let sinceMs = now();
  let reason: string | null = null;
  let lastFrameAtMs: number | null = null;
  return {
    current: () => ({ state, sinceMs, reason, lastFrameAtMs }),
    enter(next, why) {
      if (next !== state) sinceMs = now();
      state = next;
      reason = why ?? reason;
    },
    frame() {
      lastFrameAtMs = now();
      this.enter("watching");
    },
  };
}

interface Run {
  readonly stats: Counts;
  readonly states: States;
  readonly latest: Latest<Frame>;
  readonly signal: AbortSignal;
}

async function supervise(options: StreamOptions, parts: CameraParts, run: Run): Promise<void> {
  const { stats, states, signal } = run;
  const frozen = createFrozenPicture();
  let attempt = 0;
  let index = 0;
  while (!signal.aborted) {
    const { frames, reason } = await runOnce(options, parts, run, { firstIndex: index, frozen });
    index += frames;
    if (signal.aborted) return;
    attempt = frames >= GOOD_RUN_FRAMES ? 0 : attempt + 1;
    const waitMs = backoffMs(attempt, {
      firstMs: RESTART_FIRST_MS,
      maxMs: RESTART_MAX_MS,
      random: parts.random,
    });
    stats.restarts++;
    states.enter("lost", reason);
    parts.logger.warn("camera lost", { camera: options.name, reason, frames, waitMs });
    await pause(waitMs, signal);
  }
}

/** One run of the source, until it ends, stalls or is asked to stop. */
async function runOnce(
  { name, start, stallMs }: StreamOptions,
  parts: CameraParts,
  { stats, states, latest, signal }: Run,
  { firstIndex, frozen }: { readonly firstIndex: number; readonly frozen: FrozenPicture },
): Promise<{ readonly frames: number; readonly reason: string }> {
  const { clock } = parts;
  const splitter = createMjpegSplitter();
  const damagedBefore = stats.damaged;
  let bytes = 0;
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
    reason = `no frame for ${stallMs} ms (${whatCame(bytes, splitter.damaged)})`;
    finish();
  };
  let watchdog = setTimeout(stalled, stallMs);
  const source = start({
    data(chunk) {
      // What a source still sends while it is being stopped is discarded.
      if (finished) return;
      bytes += chunk.length;
      for (const image of splitter.push(chunk)) {
        clearTimeout(watchdog);
        watchdog = setTimeout(stalled, stallMs);
        const times = { capturedAtMs: clock.now(), monotonicMs: clock.monotonicMs() };
        if (frozen.repeats(image, times.monotonicMs)) {
          stats.frozen++;
          tellFrozen(name, states, parts);
          continue;
        }
        states.frame();
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

/** What a source that gives no frame sends instead. */
function whatCame(bytes: number, torn: number): string {
  if (bytes === 0) return "nothing comes from it";
  if (torn > 0) return `${torn} torn frames thrown away`;
  return `${bytes} bytes came and no whole JPEG in them`;
}

function tellFrozen(camera: string, states: States, { logger }: CameraParts): void {
  if (states.current().state === "frozen") return;
  const reason = `the same picture, byte for byte, for ${FROZEN_AFTER_MS} ms`;
  states.enter("frozen", reason);
  logger.warn("camera frozen", { camera, reason });
}
