/** Frames for a command: from the running daemon, which holds the camera, or from the camera. */
import { systemClock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { CameraConfig } from "../camera/config.ts";
import type { Camera } from "../camera/frame.ts";
import { openCamera } from "../camera/open-camera.ts";
import { mountOf } from "../vision/mounting.ts";
import { daemonCamera, daemonFrames } from "./daemon-client.ts";
import type { Invocation } from "./verb.ts";

/** A camera that gives nothing for this long is not working. */
const FRAME_TIMEOUT_MS = 15_000;

type Asked = Pick<Invocation, "config" | "signal" | "environment">;

/** The configured camera. Throws `config.camera.missing`. */
export function configuredCamera({ config }: Pick<Invocation, "config">): CameraConfig {
  const { camera } = config();
  if (camera !== undefined) return camera;
  throw new PorchlightError("config.camera.missing", "the configuration names no camera", {
    hint: "add one under `camera:`, see porchlight config schema",
  });
}

/** Throws `camera.silent`, with the camera's own reason, when nothing comes. */
export async function* cameraFrames(asked: Asked): AsyncGenerator<Buffer> {
  const camera = configuredCamera(asked);
  const late = new AbortController();
  const signal = AbortSignal.any([asked.signal, late.signal]);
  const shared = await daemonFrames(asked.config(), signal);
  const own = shared === null ? openOwn(camera, asked, signal) : null;
  let timer = setTimeout(() => late.abort(), FRAME_TIMEOUT_MS);
  try {
    for await (const image of shared ?? imagesOf(own)) {
      clearTimeout(timer);
      yield image;
      timer = setTimeout(() => late.abort(), FRAME_TIMEOUT_MS);
    }
  } finally {
    clearTimeout(timer);
  }
  if (asked.signal.aborted || (own !== null && own.state === undefined)) return;
  const reason = own === null ? (await daemonCamera(asked.config()))?.reason : own.state?.().reason;
  const seconds = FRAME_TIMEOUT_MS / 1000;
  const words = `${camera.name} gave no frame for ${seconds} s: ${reason ?? "nothing comes from it"}`;
  throw new PorchlightError("camera.silent", words, {
    hint:
      own === null
        ? "the daemon holds it; see more: journalctl -u porchlight"
        : "does another program hold it? sudo systemctl stop porchlight, then try again",
  });
}

function openOwn(camera: CameraConfig, { environment }: Asked, signal: AbortSignal): Camera {
  const path = environment["PATH"] ?? "";
  const parts = { clock: systemClock, logger: silentLogger, random: Math.random, signal, path };
  return openCamera(camera, { ...parts, mount: mountOf(camera) });
}

async function* imagesOf(camera: Camera | null): AsyncGenerator<Buffer> {
  if (camera === null) return;
  for await (const { image } of camera) yield image;
}
