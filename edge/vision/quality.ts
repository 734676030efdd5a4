import { type Similarity, scaleOf } from "./align.ts";
import type { Quality, QualityReason } from "./face.ts";

/** Minimum quality of a face that is matched; measured for each pack and written in it. */
export interface QualityMinima {
  readonly widthPx: number;
  readonly sharpness: number;
  readonly yawDegreesMax: number;
  readonly brightness: number;
}

export interface QualityInput {
  readonly chip: Uint8Array;
  readonly side: number;
  readonly toImage: Similarity;
  readonly points: Float32Array;
  readonly score: number;
}

/** Ear to ear in a chip, as a part of its side: 84 of 112 px in ArcFace's, 117 of 150 in dlib's. */
const FACE_PART_OF_CHIP = 0.76;

/** How far the tip of a nose stands before the eyes, in distances between them. */
const NOSE_DEPTH = 0.6;

/** The part of the chip that is looked at: its middle, where there is face and no background. */
const MIDDLE = 0.6;

/** All but whether it is hidden in part, which coverage.ts tells. */
export function assess(input: QualityInput, minima: QualityMinima): Quality {
  const { chip, side, toImage, points, score } = input;
  const { sharpness, brightness } = measureChip(chip, side);
  const { yaw, roll } = poseOf(points);
  const widthPx = side * FACE_PART_OF_CHIP * scaleOf(toImage);
  const reasons: QualityReason[] = [];
  if (widthPx < minima.widthPx) reasons.push("small");
  if (sharpness < minima.sharpness) reasons.push("blurred");
  if (Math.abs(yaw) > minima.yawDegreesMax) reasons.push("turned");
  if (brightness < minima.brightness) reasons.push("dark");
  return {
    widthPx,
    sharpness,
    yaw,
    roll,
    brightness,
    usable: reasons.length === 0,
    reasons,
    score:
      score *
      saturate(widthPx / (2 * minima.widthPx)) *
      saturate(sharpness / (3 * minima.sharpness)) *
      saturate(brightness / (2 * minima.brightness)) *
      Math.cos((Math.min(Math.abs(yaw), 90) * Math.PI) / 180),
  };
}

/**
 * Yaw and roll in degrees. The nose moves out of the middle between the eyes by
 * depth × sin(yaw) while their distance shrinks by cos(yaw).
 */
export function poseOf(points: Float32Array): { yaw: number; roll: number } {
  const [leftX = 0, leftY = 0, rightX = 0, rightY = 0, noseX = 0, noseY = 0] = points;
  const [eyeX, eyeY] = [rightX - leftX, rightY - leftY];
  const eyes = Math.hypot(eyeX, eyeY);
  if (eyes === 0) return { yaw: 90, roll: 0 };
  const [middleX, middleY] = [(leftX + rightX) / 2, (leftY + rightY) / 2];
  const along = ((noseX - middleX) * eyeX + (noseY - middleY) * eyeY) / (eyes * eyes);
  return { yaw: degrees(Math.atan(along / NOSE_DEPTH)), roll: degrees(Math.atan2(eyeY, eyeX)) };
}

/**
 * Sharpness: variance of the Laplacian (J. Pech-Pacheco et al., ICPR 2000) over the variance of the
 * luma itself, so that a dim picture is not taken for a blurred one. Brightness: mean luma.
 */
export function measureChip(
  chip: Uint8Array,
  side: number,
): { sharpness: number; brightness: number } {
  const start = Math.round((side * (1 - MIDDLE)) / 2);
  const width = side - 2 * start;
  const luma = new Float32Array(width * width);
  let sum = 0;
  let squares = 0;
  for (let y = 0, o = 0; y < width; y++) {
    let i = ((start + y) * side + start) * 3;
    for (let x = 0; x < width; x++, i += 3, o++) {
      // ITU-R BT.601.
      const value =
        0.299 * (chip[i] ?? 0) + 0.587 * (chip[i + 1] ?? 0) + 0.114 * (chip[i + 2] ?? 0);
      luma[o] = value;
      sum += value;
      squares += value * value;
    }
  }
  const count = width * width;
  const mean = sum / count;
  const variance = squares / count - mean * mean;
  return {
    sharpness: laplacianVariance(luma, width) / Math.max(variance, 1),
    brightness: mean,
  };
}

function laplacianVariance(luma: Float32Array, width: number): number {
  let sum = 0;
  let squares = 0;
  for (let y = 1; y < width - 1; y++) {
    for (let i = y * width + 1; i < (y + 1) * width - 1; i++) {
      const value =
        (luma[i - 1] ?? 0) +
        (luma[i + 1] ?? 0) +
        (luma[i - width] ?? 0) +
        (luma[i + width] ?? 0) -
        4 * (luma[i] ?? 0);
      sum += value;
      squares += value * value;
    }
  }
  const count = (width - 2) * (width - 2);
  return squares / count - (sum / count) ** 2;
}

function saturate(value: number): number {
  return Math.min(Math.max(value, 0), 1);
}

function degrees(radians: number): number {
  return (radians * 180) / Math.PI;
}
