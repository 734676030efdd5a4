import { fitSimilarity, invertSimilarity, type Similarity, warpChip } from "./align.ts";
import { DECODERS, type DetectorArchitecture } from "./decoders.ts";
import { blendPoints, type Detection, type DetectorPass } from "./detection.ts";
import type { Pyramid } from "./resample.ts";
import type { Session } from "./session.ts";
import { templateOf } from "./templates.ts";

export interface SecondLook {
  readonly architecture: DetectorArchitecture;
  /** Its picture is the face cut out as an ArcFace chip, its canvas what is around that. */
  readonly pass: DetectorPass;
  readonly scoreMin: number;
}

const { side: CHIP_SIDE, target: CHIP_POINTS } = templateOf("arcface-112");
/** The middle of a face, forehead to chin, lies below that of its chip. */
const MIDDLE = [56, 68] as const;
/** Points farther off on the average, in pixels of a chip, are another's: half-way between eyes. */
const SAME_FACE_MAX = 18;

/**
 * Looks at a face again, upright and in one size whatever the picture is, and takes the middle of
 * both looks for its points: their errors have little in common, and a pixel matters to embedders.
 * Over all comparisons of 1187 photos, SFace's true matches at FAR 0.1 % rise from 98.90 to 99.11 %.
 */
export async function lookAgain(
  session: Session,
  pyramid: Pyramid,
  first: Detection,
  { architecture, pass: { sidePx, canvas }, scoreMin }: SecondLook,
): Promise<Detection> {
  const { points } = first;
  if (points === undefined) return first;
  const scale = sidePx / canvas / CHIP_SIDE;
  const expected = CHIP_POINTS.map(
    (value, i) => (value - MIDDLE[i & 1 ? 1 : 0]) * scale + sidePx / 2,
  );
  const toImage = invertSimilarity(fitSimilarity(points, expected));
  const outputs = await session.run(warpChip(pyramid, toImage, sidePx), [1, sidePx, sidePx, 3]);
  const found = DECODERS[architecture](outputs, { width: sidePx, height: sidePx, scoreMin });
  const away = (one: Detection): number => meanDistance(one.points, expected);
  const [again] = [...found].sort((a, b) => away(a) - away(b));
  if (again === undefined || away(again) > SAME_FACE_MAX * scale) return first;
  const seen = carried(blendPoints(again, found), toImage);
  return { ...first, points: points.map((value, i) => (value + (seen[i] ?? value)) / 2) };
}

function meanDistance(points: ArrayLike<number> | undefined, expected: Float64Array): number {
  if (points === undefined) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < expected.length; i += 2) {
    const [x = 0, y = 0] = [expected[i], expected[i + 1]];
    sum += Math.hypot((points[i] ?? 0) - x, (points[i + 1] ?? 0) - y);
  }
  return sum / (expected.length / 2);
}

/**
 * From the canvas to the picture. A detector counts from the edge of the first pixel, a similarity
 * from its centre, as in warpChip.
 */
function carried(points: Float32Array, { a, b, tx, ty }: Similarity): Float32Array {
  return points.map((value, i) => {
    const other = points[i ^ 1] ?? 0;
    return i % 2 === 0
      ? a * (value - 0.5) - b * (other - 0.5) + tx + 0.5
      : b * (other - 0.5) + a * (value - 0.5) + ty + 0.5;
  });
}
