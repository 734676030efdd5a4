import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { CameraConfig } from "./config.ts";
import { v4l2Source } from "./ffmpeg.ts";
import { filesCamera } from "./files.ts";
import type { Camera } from "./frame.ts";
import { jetsonArgs } from "./gstreamer.ts";
import { LIBCAMERA_PROGRAMS, libcameraArgs } from "./libcamera.ts";
import { processSource, type StartSource, socketSource } from "./source.ts";
import { type CameraParts, streamCamera } from "./stream.ts";

export interface OpenCameraParts extends CameraParts {
  /** $PATH: where the programs that read cameras are looked for. */
  readonly path: string;
  /**
   * Makes of a picture as it came the one that may be seen: turned, and black under its masks. Null
   * where the camera hangs upright and has no mask.
   */
  readonly mount: Mount | null;
}

export type Mount = (image: Buffer) => Promise<Buffer>;

/** The camera of a configuration. Nothing is started before the first read. */
export function openCamera(config: CameraConfig, parts: OpenCameraParts): Camera {
  const camera = asItComes(config, parts);
  return parts.mount === null ? camera : mounted(camera, parts.mount, parts);
}

function asItComes(config: CameraConfig, parts: OpenCameraParts): Camera {
  if (config.kind === "files") return filesCamera(config, parts);
  const { name, stallMs } = config;
  return streamCamera({ name, stallMs, start: sourceOf(config, parts.path) }, parts);
}

/** A picture that cannot be mounted is never shown as it came: there may be a mask on it. */
function mounted(camera: Camera, mount: Mount, { logger }: OpenCameraParts): Camera {
  let damaged = 0;
  return {
    ...camera,
    get stats() {
      return { ...camera.stats, damaged: camera.stats.damaged + damaged };
    },
    async *[Symbol.asyncIterator]() {
      for await (const frame of camera) {
        let image: Buffer;
        try {
          image = await mount(frame.image);
        } catch (error) {
          if (!(error instanceof PorchlightError)) throw error;
          damaged++;
          logger.warn("frame not readable", { camera: camera.name, reason: error.message });
          continue;
        }
        yield { ...frame, image };
      }
    },
  };
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
      return v4l2Source(config);
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
