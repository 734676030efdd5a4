import { invariant } from "../../shared/core/errors.ts";
import type { Face } from "./face.ts";

/** Where an embedder wants a face: the points of it that are used, and their place in its chip. */
export interface AlignmentTemplate {
  readonly side: number;
  readonly target: Float64Array;
  /** Points of the face in the order of `target`, (x, y) in image pixels. */
  pointsOf(face: Pick<Face, "points" | "landmarks">): ArrayLike<number>;
}

export const ALIGNMENTS = ["arcface-112", "dlib-150", "dlib-150-five"] as const;

export type Alignment = (typeof ALIGNMENTS)[number];

/** The ArcFace template (J. Deng et al., CVPR 2019), which SFace and MobileFaceNet share. */
const ARCFACE = [
  38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041,
];

/** dlib's own table below, reduced to five points: for packs without a landmark net. */
const DLIB_FIVE = [
  47.549, 46.599, 100.476, 46.599, 74.013, 76.563, 50.415, 103.023, 97.61, 103.023,
];

/**
 * Mean face of dlib, points 27..54 and 60..64 of 68 as (x, y) in 0..1: nose, eyes and mouth. dlib
 * leaves jaw, brows and lower lip out because they move. From `get_face_chip_details` in
 * dlib/image_transforms/interpolation.h (Boost Software License).
 */
const DLIB_MEAN_X = [
  0.490127, 0.490127, 0.490127, 0.490127, 0.36688, 0.426036, 0.490127, 0.554217, 0.613373, 0.121737,
  0.187122, 0.265825, 0.334606, 0.260918, 0.182743, 0.645647, 0.714428, 0.793132, 0.858516, 0.79751,
  0.719335, 0.254149, 0.340985, 0.428858, 0.490127, 0.551395, 0.639268, 0.726104, 0.290379,
  0.428096, 0.490127, 0.552157, 0.689874,
];
const DLIB_MEAN_Y = [
  0.203352, 0.307009, 0.409805, 0.515625, 0.587326, 0.609345, 0.628106, 0.609345, 0.587326,
  0.216423, 0.178758, 0.179852, 0.231733, 0.245099, 0.244077, 0.231733, 0.179852, 0.178758,
  0.216423, 0.244077, 0.245099, 0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405,
  0.780233, 0.784792, 0.778746, 0.785343, 0.778746, 0.784792,
];
const DLIB_POINTS = [...range(27, 54), ...range(60, 64)];
const DLIB_PADDING = 0.25;
const DLIB_SIDE = 150;

export function templateOf(alignment: Alignment): AlignmentTemplate {
  switch (alignment) {
    case "arcface-112":
      return { side: 112, target: Float64Array.from(ARCFACE), pointsOf: (face) => face.points };
    case "dlib-150-five":
      return { side: 150, target: Float64Array.from(DLIB_FIVE), pointsOf: (face) => face.points };
    case "dlib-150":
      return dlibTemplate();
  }
}

/** The five points of 68: centres of the eyes, tip of the nose, corners of the mouth. */
export function fiveOf(landmarks: Float32Array): Float32Array {
  const mean = (from: number, to: number): [number, number] => {
    let [x, y] = [0, 0];
    for (let i = from; i <= to; i++) {
      x += landmarks[2 * i] ?? 0;
      y += landmarks[2 * i + 1] ?? 0;
    }
    return [x / (to - from + 1), y / (to - from + 1)];
  };
  return Float32Array.from([
    ...mean(36, 41),
    ...mean(42, 47),
    ...mean(30, 30),
    ...mean(48, 48),
    ...mean(54, 54),
  ]);
}

function dlibTemplate(): AlignmentTemplate {
  const place = (value: number): number =>
    ((DLIB_PADDING + value) / (1 + 2 * DLIB_PADDING)) * DLIB_SIDE;
  const target = new Float64Array(DLIB_POINTS.length * 2);
  DLIB_POINTS.forEach((_, i) => {
    target[2 * i] = place(DLIB_MEAN_X[i] ?? 0);
    target[2 * i + 1] = place(DLIB_MEAN_Y[i] ?? 0);
  });
  return {
    side: DLIB_SIDE,
    target,
    pointsOf({ landmarks }) {
      invariant(landmarks?.length === 136, "this alignment needs a pack with a landmark net");
      const points = new Float64Array(target.length);
      DLIB_POINTS.forEach((point, i) => {
        points[2 * i] = landmarks[2 * point] ?? 0;
        points[2 * i + 1] = landmarks[2 * point + 1] ?? 0;
      });
      return points;
    },
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
