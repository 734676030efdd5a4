import type { CameraConfigOf } from "./config.ts";

/** The pipeline's first element: the sensor of a Jetson, or anything else that gives raw video. */
export function jetsonSource({ sensor }: Pick<CameraConfigOf<"gstreamer">, "sensor">): string[] {
  return ["nvarguscamerasrc", `sensor-id=${sensor}`];
}

/** Jetson's own caps and encoder keep the frames in the GPU's memory until they are JPEGs. */
export function jetsonArgs(config: CameraConfigOf<"gstreamer">): string[] {
  return pipeline(
    jetsonSource(config),
    "video/x-raw(memory:NVMM),format=NV12",
    "nvjpegenc",
    config,
  );
}

/** `gst-launch-1.0` arguments: source ! caps ! JPEG encoder ! stdout. */
export function pipeline(
  source: readonly string[],
  caps: string,
  encoder: string,
  config: Pick<CameraConfigOf<"gstreamer">, "widthPx" | "heightPx" | "framesPerSecond">,
): string[] {
  const { widthPx, heightPx, framesPerSecond } = config;
  // GStreamer wants a fraction: 12.5 frames per second are 12500/1000.
  const rate = `${Math.round(framesPerSecond * 1000)}/1000`;
  const size = `width=${widthPx},height=${heightPx}`;
  return [
    "--quiet",
    ...source,
    "!",
    `${caps},${size},framerate=${rate}`,
    "!",
    encoder,
    "!",
    "fdsink",
    "fd=1",
  ];
}
