/** Replays pictures, or a video through ffmpeg, at a chosen rate. */
import { existsSync, globSync, readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import type { CameraConfigOf } from "./config.ts";
import type { Camera, CameraStats, Frame } from "./frame.ts";
import { createLatest } from "./latest-value.ts";
import { createMjpegSplitter } from "./mjpeg.ts";
import { readProcess } from "./source.ts";
import type { CameraParts } from "./stream.ts";

const PICTURE = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;
const VIDEO = /\.(mp4|mkv|mov|avi|webm|mjpe?g|ts)$/i;
const naturally = new Intl.Collator("en", { numeric: true });

interface Picture {
  readonly image: Buffer;
  readonly source: string;
}
type Config = CameraConfigOf<"files">;
type Counts = { -readonly [K in keyof CameraStats]: number };

export function filesCamera(config: Config, parts: CameraParts): Camera {
  const stats: Counts = { delivered: 0, dropped: 0, damaged: 0, restarts: 0, stalls: 0 };
  return {
    name: config.name,
    stats,
    async *[Symbol.asyncIterator]() {
      const files = filesOf(config.paths);
      const stop = new AbortController();
      const signal = AbortSignal.any([parts.signal, stop.signal]);
      const frames = paced(pictures(files, config, stats, signal), config, parts, signal);
      try {
        for await (const frame of config.everyFrame ? frames : newest(frames, stats)) {
          if (signal.aborted) return;
          stats.delivered++;
          yield frame;
        }
      } finally {
        stop.abort();
      }
    },
  };
}

/** The files meant by folders, globs and names, each in natural order. Throws `camera.files`. */
export function filesOf(paths: readonly string[]): string[] {
  const files = paths.flatMap((path) => {
    if (!existsSync(path)) {
      return globSync(path)
        .map((found) => resolve(found))
        .filter((found) => statSync(found).isFile())
        .sort(naturally.compare);
    }
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((file) => PICTURE.test(file) || VIDEO.test(file))
      .sort(naturally.compare)
      .map((file) => join(path, file));
  });
  if (files.length > 0) return files;
  throw new PorchlightError("camera.files", `no picture or video at ${paths.join(", ")}`, {
    exitCode: EXIT.config,
    hint: "set camera.paths to a folder, a glob, pictures or a video: porchlight config check",
  });
}

async function* pictures(
  files: readonly string[],
  config: Config,
  stats: Counts,
  signal: AbortSignal,
): AsyncGenerator<Picture> {
  do {
    for (const file of files) {
      if (VIDEO.test(file)) yield* videoFrames(file, config, stats, signal);
      else yield { image: await readFile(file), source: file };
      if (signal.aborted) return;
    }
    if (config.loop) stats.restarts++;
  } while (config.loop);
}

async function* videoFrames(
  file: string,
  { framesPerSecond }: Config,
  stats: Counts,
  signal: AbortSignal,
): AsyncGenerator<Picture> {
  const splitter = createMjpegSplitter();
  const args = ["-nostdin", "-loglevel", "error", "-i", file, "-vf", `fps=${framesPerSecond}`];
  const damagedBefore = stats.damaged;
  for await (const chunk of readProcess(
    "ffmpeg",
    [...args, "-f", "mjpeg", "-q:v", "2", "pipe:1"],
    signal,
  )) {
    for (const image of splitter.push(chunk)) yield { image, source: file };
    stats.damaged = damagedBefore + splitter.damaged;
  }
}

/** Gives pictures at their rate; a reader that is late gets the next one at once. */
async function* paced(
  source: AsyncIterable<Picture>,
  { framesPerSecond }: Config,
  { clock }: CameraParts,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const stepMs = 1000 / framesPerSecond;
  let index = 0;
  let due = clock.monotonicMs();
  for await (const picture of source) {
    const wait = due - clock.monotonicMs();
    if (wait > 0) await pause(wait, signal);
    if (signal.aborted) return;
    due = Math.max(due + stepMs, clock.monotonicMs());
    const times = { capturedAtMs: clock.now(), monotonicMs: clock.monotonicMs() };
    yield { ...picture, ...times, index: index++ };
  }
}

/** Reads ahead of a slow reader and drops what it had no time for. */
async function* newest(frames: AsyncIterable<Frame>, stats: Counts): AsyncGenerator<Frame> {
  const latest = createLatest<Frame>();
  const reading = (async () => {
    for await (const frame of frames) if (!latest.put(frame)) stats.dropped++;
  })().then(
    () => latest.end(),
    (error: unknown) => latest.fail(error),
  );
  yield* latest;
  await reading;
}
