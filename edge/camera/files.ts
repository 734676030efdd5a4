/** Replays pictures, or a video through ffmpeg, at a chosen rate. */
import { existsSync, globSync, readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import type { CameraConfigOf } from "./config.ts";
import { type Camera, type CameraStats, type Frame, NO_FRAMES } from "./frame.ts";
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
  const stats: Counts = { ...NO_FRAMES };
  return {
    name: config.name,
    stats,
    async *[Symbol.asyncIterator]() {
      const files = filesOf(config.paths);
      const stop = new AbortController();
      const signal = AbortSignal.any([parts.signal, stop.signal]);
      const frames = paced(pictures(files, config, stats, parts, signal), config, parts, signal);
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
        .filter((found) => statSync(found, { throwIfNoEntry: false })?.isFile() === true)
        .sort(naturally.compare);
    }
    if (!statSync(path).isDirectory()) return [path];
    return listed(path)
      .filter((file) => PICTURE.test(file) || VIDEO.test(file))
      .sort(naturally.compare)
      .map((file) => join(path, file))
      .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
  });
  if (files.length > 0) return files;
  throw new PorchlightError("camera.files", `no picture or video at ${paths.join(", ")}`, {
    exitCode: EXIT.config,
    hint: "set camera.paths to a folder, a glob, pictures or a video: porchlight config check",
  });
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    throw new PorchlightError("camera.files", `${folder} may not be read: ${messageOf(cause)}`, {
      exitCode: EXIT.config,
      hint: `let the daemon's user read it: chmod -R o+rX ${folder}`,
      cause,
    });
  }
}

/** A file that cannot be read is told and passed over; when none of them can, the last error is it. */
async function* pictures(
  files: readonly string[],
  config: Config,
  stats: Counts,
  { logger }: Pick<CameraParts, "logger">,
  signal: AbortSignal,
): AsyncGenerator<Picture> {
  do {
    let read = 0;
    let failure: unknown;
    for (const file of files) {
      try {
        for await (const picture of picturesOf(file, config, stats, signal)) {
          read++;
          yield picture;
        }
      } catch (error) {
        if (signal.aborted) return;
        failure = error;
        stats.damaged++;
        logger.warn("file skipped", { file, reason: messageOf(error) });
      }
      if (signal.aborted) return;
    }
    if (read === 0 && failure !== undefined) throw failure;
    if (config.loop) stats.restarts++;
  } while (config.loop);
}

async function* picturesOf(
  file: string,
  config: Config,
  stats: Counts,
  signal: AbortSignal,
): AsyncGenerator<Picture> {
  if (VIDEO.test(file)) yield* videoFrames(file, config, stats, signal);
  else yield { image: await readPicture(file), source: file };
}

async function readPicture(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new PorchlightError("camera.files", `a picture cannot be read: ${messageOf(cause)}`, {
      exitCode: EXIT.config,
      hint: `look at it: ls -l ${file}`,
      cause,
    });
  }
}

async function* videoFrames(
  file: string,
  { framesPerSecond }: Config,
  stats: Counts,
  signal: AbortSignal,
): AsyncGenerator<Picture> {
  const splitter = createMjpegSplitter();
  const args = [
    "-nostdin",
    "-loglevel",
    "error",
    "-i",
    `file:${file}`,
    "-vf",
    `fps=${framesPerSecond}`,
  ];
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
