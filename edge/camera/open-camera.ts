import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { CameraConfig } from "./config.ts";
import { v4l2Args } from "./ffmpeg.ts";
import { filesCamera } from "./files.ts";
import type { Camera } from "./frame.ts";
import { jetsonArgs } from "./gstreamer.ts";
import { LIBCAMERA_PROGRAMS, libcameraArgs } from "./libcamera.ts";
import { processSource, type StartSource, socketSource } from "./source.ts";
import { type CameraParts, streamCamera } from "./stream.ts";

export interface OpenCameraParts extends CameraParts {
  /** $PATH: where the programs that read cameras are looked for. */
  readonly path: string;
}

/** The camera of a configuration. Nothing is started before the first read. */
export function openCamera(config: CameraConfig, parts: OpenCameraParts): Camera {
  if (config.kind === "files") return filesCamera(config, parts);
  const { name, stallMs } = config;
  return streamCamera({ name, stallMs, start: sourceOf(config, parts.path) }, parts);
}

function sourceOf(config: Exclude<CameraConfig, { kind: "files" }>, path: string): StartSource {
  switch (config.kind) {
    case "libcamera": {
      const [newer, older] = LIBCAMERA_PROGRAMS;
      return processSource(findProgram(newer, path) ?? older, libcameraArgs(config));
    }
    case "gstreamer":
      return processSource("gst-launch-1.0", jetsonArgs(config));
    case "ffmpeg":
      return processSource("ffmpeg", v4l2Args(config));
    case "socket":
      return socketSource(config.path);
  }
}

/** Where a program lies on $PATH, or null. */
export function findProgram(program: string, path: string): string | null {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder: the next one may have it.
    }
  }
  return null;
}
