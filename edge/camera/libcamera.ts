/** Raspberry Pi cameras. The only home of node-libcamera. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
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
  const { camera, widthPx, heightPx, framesPerSecond, rotationDegrees } = config;
  return [
    ["--camera", camera],
    ["--width", widthPx],
    ["--height", heightPx],
    ["--framerate", framesPerSecond],
    ["--rotation", rotationDegrees],
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

/**
 * One still. node-libcamera puts its options into a shell command and buffers whole outputs, so it
 * gets numbers that were checked and a file name that we made, and is not used for streams.
 */
export async function libcameraStill(config: Config): Promise<Buffer> {
  const { jpeg } = (await import("node-libcamera")).default;
  const folder = mkdtempSync(join(tmpdir(), "porchlight-still-"));
  const output = join(folder, "still.jpg");
  invariant(SHELL_SAFE.test(output), "the temporary folder's name is safe in a shell command");
  const { widthPx: width, heightPx: height, camera, rotationDegrees: rotation } = config;
  const numbers = { width, height, camera, rotation, timeout: STILL_SETTLE_MS };
  try {
    await jpeg({ ...z.record(z.string(), z.int()).parse(numbers), output, nopreview: true });
    return readFileSync(output);
  } catch (cause) {
    throw new PorchlightError("camera.still", `no still from ${config.name}: ${messageOf(cause)}`, {
      hint: "is the camera connected? rpicam-hello --list-cameras",
      cause,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
