/** One picture as a camera gave it: still encoded, decoded only where it is looked at. */
export interface Frame {
  /** Encoded image: JPEG from streams, any format of `vision/image.ts` from files. */
  readonly image: Buffer;
  /** Wall clock when the frame was complete, ms since the epoch. */
  readonly capturedAtMs: number;
  /** CLOCK_MONOTONIC of the same moment, ms. */
  readonly monotonicMs: number;
  /** 0, 1, 2 … within one run of a camera; counts dropped frames too. */
  readonly index: number;
  /** The camera's configured name, or the file the frame came from. Never a URL. */
  readonly source: string;
}

export interface CameraStats {
  /** Frames handed to the reader. */
  readonly delivered: number;
  /** Frames replaced by a newer one before anyone asked for them. */
  readonly dropped: number;
  /** Frames thrown away because they were torn or too large. */
  readonly damaged: number;
  /** Restarts of the source after it ended or failed. */
  readonly restarts: number;
  /** Times the source was alive but sent nothing for too long. */
  readonly stalls: number;
  /** Frames withheld because the source repeated one picture byte for byte. */
  readonly frozen: number;
}

export const NO_FRAMES: CameraStats = {
  delivered: 0,
  dropped: 0,
  damaged: 0,
  restarts: 0,
  stalls: 0,
  frozen: 0,
};

/** What a live camera does now, and since when. */
export interface CameraState {
  readonly state: "starting" | "watching" | "lost" | "frozen";
  /** Wall clock, ms since the epoch. */
  readonly sinceMs: number;
  /** Why it is lost, or was last: in the source's own words, without URL or password. */
  readonly reason: string | null;
  readonly lastFrameAtMs: number | null;
}

/** Newest frame wins: a slow reader sees fewer frames, never older ones. */
export interface Camera extends AsyncIterable<Frame> {
  readonly name: string;
  readonly stats: CameraStats;
  /** Of a live camera; a replay has none. */
  readonly state?: () => CameraState;
}
