/** Raspberry Pi cameras. The only home of node-libcamera. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { invariant, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { CameraConfigOf } from "./config.ts";

type Config = CameraConfigOf<"libcamera">;

/** Raspberry Pi OS renamed libcamera-vid to rpicam-vid in 2023; both take the same options. */
export const LIBCAMERA_PROGRAMS = ["rpicam-vid", "libcamera-vid"] as const;

/** Frames without end as MJPEG on stdout, no preview window; JPEG quality 90 keeps faces whole. */
export function libcameraArgs(config: Config): string[] {
  const { camera, widthPx, heightPx, framesPerSecond } = config;
  return [
    ["--camera", camera],
    ["--width", widthPx],
    ["--height", heightPx],
    ["--framerate", framesPerSecond],
    ["--timeout", 0],
    ["--quality", 90],
    ["--codec", "mjpeg"],
    ["--output", "-"],
  ]
    .flat()
    .map(String)
    .concat("--nopreview", "--flush");
}

/** How long the sensor may adjust its exposure before a still, ms. */
const STILL_SETTLE_MS = 1_000;
const SHELL_SAFE = /^[A-Za-z0-9/._-]+$/;

/** A still of 12 megapixels at best quality. */
const STILL_BYTES_MAX = 32 * 1024 * 1024;

/**
 * One still, through a pipe: the door's picture never lies on a disk. node-libcamera puts its options into a shell command and buffers whole outputs, so it
 * gets numbers that were checked and a file name that we made, and is not used for streams.
 */
export async function libcameraStill(config: Config): Promise<Buffer> {
  const { jpeg } = (await import("node-libcamera")).default;
  const folder = mkdtempSync(join(tmpdir(), "porchlight-still-"));
  const output = join(folder, "still.jpg");
  spawnSync("mkfifo", ["-m", "600", output]);
  invariant(SHELL_SAFE.test(output), "the temporary folder's name is safe in a shell command");
  const { widthPx: width, heightPx: height, camera } = config;
  const numbers = { width, height, camera, timeout: STILL_SETTLE_MS };
  const reader = readPipe(output);
  try {
    await jpeg({ ...z.record(z.string(), z.int()).parse(numbers), output, nopreview: true });
    return await reader.content;
  } catch (cause) {
    throw new PorchlightError("camera.still", `no still from ${config.name}: ${messageOf(cause)}`, {
      hint: "is the camera connected? rpicam-hello --list-cameras",
      cause,
    });
  } finally {
    reader.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads a named pipe to its end; a reader of ours would wait for ever where nobody writes. */
function readPipe(path: string): { readonly content: Promise<Buffer>; stop(): void } {
  const options = { encoding: "buffer", maxBuffer: STILL_BYTES_MAX } as const;
  let stop = (): void => undefined;
  const content = new Promise<Buffer>((resolve, reject) => {
    const reader = execFile("cat", [path], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
    stop = () => void reader.kill();
  });
  // Nobody waits for it where the camera has failed first.
  content.catch(() => undefined);
  return { content, stop };
}
