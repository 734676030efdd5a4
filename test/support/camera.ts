import type { Camera, Frame } from "../../edge/camera/frame.ts";
import type { OpenCameraParts } from "../../edge/camera/open-camera.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { createLogger, type Logger } from "../../shared/core/logger.ts";

/** Everything a camera needs, with the lines it logs. */
export function cameraParts(path = process.env["PATH"] ?? ""): OpenCameraParts & {
  readonly lines: string[];
  stop(): void;
} {
  const stop = new AbortController();
  const lines: string[] = [];
  const logger: Logger = createLogger({
    level: "debug",
    now: Date.now,
    write: (line) => void lines.push(line),
  });
  // A restart waits an even part of the backoff: half is enough to be seen, short enough to test.
  const random = (): number => 0.2;
  return {
    clock: systemClock,
    logger,
    random,
    signal: stop.signal,
    path,
    mount: null,
    lines,
    stop: () => stop.abort(),
  };
}

/** The first frames of a camera; then it is stopped. */
export async function take(camera: Camera, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of camera) {
    frames.push(frame);
    if (frames.length === count) break;
  }
  return frames;
}

export function isJpeg(image: Buffer): boolean {
  return image.readUInt16BE(0) === 0xffd8 && image.readUInt16BE(image.length - 2) === 0xffd9;
}

/** How a JPEG begins: a marker, and another whose length is short. By chance once in 10¹² bytes. */
const JPEG_STARTS = ["ffd8ffdb00", "ffd8ffe000", "ffd8ffe100"].map((hex) =>
  Buffer.from(hex, "hex"),
);

/** Whether one begins anywhere in these bytes. */
export function holdsJpeg(bytes: Buffer): boolean {
  return JPEG_STARTS.some((start) => bytes.includes(start));
}

/** ffmpeg arguments that make a moving test picture without a camera, as MJPEG on stdout. */
export function testPicture(seconds: number | null, size = "320x240"): string[] {
  const input = ["-re", "-f", "lavfi", "-i", `testsrc=size=${size}:rate=20`];
  const end = seconds === null ? [] : ["-t", String(seconds)];
  return ["-nostdin", "-loglevel", "error", ...input, ...end, "-f", "mjpeg", "-q:v", "5", "pipe:1"];
}
