/** Notices a source that repeats one picture: a stream that hangs while its connection lives. */
export interface FrozenPicture {
  /** Whether this picture only repeats what has been shown for too long. */
  repeats(image: Buffer, nowMs: number): boolean;
}

/** A sensor's noise makes no two pictures alike; a scene that stays black may, for a while. */
export const FROZEN_AFTER_MS = 10_000;
/** At low rates a few frames are no repetition yet. */
const FROZEN_FRAMES_MIN = 3;

export function createFrozenPicture(): FrozenPicture {
  let last: Buffer | null = null;
  let sinceMs = 0;
  let frames = 0;
  return {
    repeats(image, nowMs) {
      if (last === null || !last.equals(image)) {
        last = image;
        sinceMs = nowMs;
        frames = 0;
      }
      frames++;
      return frames > FROZEN_FRAMES_MIN && nowMs - sinceMs >= FROZEN_AFTER_MS;
    },
  };
}
