import type { CameraConfigOf } from "./config.ts";

/** Takes the camera's own MJPEG as it is: a Pi has no time to encode again. */
export function v4l2Args(config: CameraConfigOf<"ffmpeg">): string[] {
  const { device, widthPx, heightPx, framesPerSecond } = config;
  const input = ["-f", "v4l2", "-input_format", "mjpeg", "-framerate", String(framesPerSecond)];
  return mjpegArgs([...input, "-video_size", `${widthPx}x${heightPx}`, "-i", device], "copy");
}

/** ffmpeg arguments: input → MJPEG on stdout, copied or encoded at good quality. */
export function mjpegArgs(input: readonly string[], codec: "copy" | "mjpeg"): string[] {
  const quality = codec === "copy" ? [] : ["-q:v", "3"];
  const head = ["-nostdin", "-hide_banner", "-loglevel", "error"];
  return [...head, ...input, "-an", "-c:v", codec, ...quality, "-f", "mjpeg", "pipe:1"];
}
