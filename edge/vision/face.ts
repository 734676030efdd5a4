import type { Embedding } from "../../shared/log/embedding.ts";

/** A decoded picture: RGB bytes, interleaved, rows without padding. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A rectangle in pixels of the image it was found in; it may reach over the edge. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type QualityReason = "small" | "blurred" | "turned" | "dark" | "overexposed" | "covered";

export interface Quality {
  /** Width of the face itself, ear to ear, from its landmarks: no two detectors box alike. */
  readonly widthPx: number;
  /** Variance of the Laplacian over that of the brightness, on the aligned face. */
  readonly sharpness: number;
  /** Degrees, positive when the nose points to the image's right. An estimate from five points. */
  readonly yaw: number;
  /** Degrees, positive when the head is tilted clockwise in the image. */
  readonly roll: number;
  /** Mean luma of the aligned face, 0..255. */
  readonly brightness: number;
  /** Whether the face is good enough to be matched: `reasons` is empty. */
  readonly usable: boolean;
  readonly reasons: readonly QualityReason[];
  /** 0..1, to choose the best of several. */
  readonly score: number;
}

export interface Face {
  readonly box: Box;
  /** The detector's confidence, 0..1. */
  readonly score: number;
  /** Five (x, y) in image pixels: eyes, nose tip, mouth corners, the image's left first. */
  readonly points: Float32Array;
  /** 68 (x, y) in image pixels in the order of iBUG 300-W, from packs that have a landmark net. */
  readonly landmarks?: Float32Array;
  readonly quality: Quality;
}

export interface EmbeddedFace extends Face {
  readonly embedding: Embedding;
}

/** The widest face first: whoever stands nearest. */
export function largestFirst<F extends Face>(faces: readonly F[]): F[] {
  return [...faces].sort((a, b) => b.quality.widthPx - a.quality.widthPx);
}
