/** Settings that are times, and have to fit the time between two frames of the camera. */
import type { CameraConfig } from "../camera/config.ts";

/** Of a camera in time: fewer frames than these missing are no stall. */
const STALL_FRAMES = 2;
/** What the default is raised to where frames are further apart. */
const STALL_FRAMES_DEFAULT = 3;
/** The default of `stallMs`: thirty seconds in frames of the slowest camera. */
const STALL_MS_DEFAULT = 10_000;

/** Between two frames, as the camera is asked for them; null for one that sets its own pace. */
export function framePeriodMsOf(camera: CameraConfig): number | null {
  return "framesPerSecond" in camera ? 1000 / camera.framesPerSecond : null;
}

/** A stall timeout within which the camera cannot give a frame, in words; null where it can. */
export function stallProblem(camera: CameraConfig | undefined): string | null {
  if (camera === undefined || !("stallMs" in camera && "framesPerSecond" in camera)) return null;
  const { stallMs, framesPerSecond } = camera;
  const least = Math.ceil((STALL_FRAMES * 1000) / framesPerSecond);
  if (stallMs >= least || stallMs === STALL_MS_DEFAULT) return null;
  const frames = `${STALL_FRAMES} frames at framesPerSecond ${framesPerSecond}`;
  return `${stallMs} is shorter than ${frames}, the camera would be restarted for ever: set ${least} or more`;
}

/** The default stall timeout is of cameras with several frames a second: a slow one gets longer. */
export function withStallTimeout<C extends { readonly camera?: CameraConfig | undefined }>(
  config: C,
): C {
  const { camera } = config;
  const periodMs = camera === undefined ? null : framePeriodMsOf(camera);
  if (camera === undefined || periodMs === null || !("stallMs" in camera)) return config;
  if (camera.stallMs !== STALL_MS_DEFAULT) return config;
  const stallMs = Math.max(camera.stallMs, Math.ceil(STALL_FRAMES_DEFAULT * periodMs));
  return { ...config, camera: { ...camera, stallMs } };
}
