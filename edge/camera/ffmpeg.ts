import type { CameraConfigOf } from "./config.ts";
import { processSource, type StartSource } from "./source.ts";

type Config = CameraConfigOf<"ffmpeg">;

/** How ffmpeg says that a camera has no MJPEG: in libavdevice/v4l2.c. */
const NO_MJPEG = /proper format for codec 'mjpeg'|No such pixel format|unsupported pixel format/i;

/**
 * Takes the camera's own MJPEG as it is, a Pi has no time to encode again; where a camera has none,
 * whatever it gives is encoded here.
 */
export function v4l2Source(config: Config): StartSource {
  let encode = false;
  return (events) => {
    let came = false;
    return processSource(
      "ffmpeg",
      v4l2Args(config, encode),
    )({
      data(chunk) {
        came = true;
        events.data(chunk);
      },
      closed(reason) {
        const none = !came && !encode && NO_MJPEG.test(reason);
        if (none) encode = true;
        events.closed(none ? `${reason}; from now on its pictures are encoded here` : reason);
      },
    });
  };
}

export function v4l2Args(config: Config, encode = false): string[] {
  const { device, widthPx, heightPx, framesPerSecond } = config;
  const format = encode ? [] : ["-input_format", "mjpeg"];
  const input = ["-f", "v4l2", ...format, "-framerate", String(framesPerSecond)];
  const size = ["-video_size", `${widthPx}x${heightPx}`];
  return mjpegArgs([...input, ...size, "-i", device], encode ? "mjpeg" : "copy");
}

/** ffmpeg arguments: input → MJPEG on stdout, copied or encoded at good quality. */
export function mjpegArgs(input: readonly string[], codec: "copy" | "mjpeg"): string[] {
  const quality = codec === "copy" ? [] : ["-q:v", "3"];
  const head = ["-nostdin", "-hide_banner", "-loglevel", "error"];
  return [...head, ...input, "-an", "-c:v", codec, ...quality, "-f", "mjpeg", "pipe:1"];
}
