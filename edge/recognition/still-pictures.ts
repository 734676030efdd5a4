import { cosine, type Embedding } from "../../shared/log/embedding.ts";
import { overlap } from "../vision/detection.ts";
import type { Box } from "../vision/face.ts";

/** A face that nobody wears: a poster, a statue, a reflection. It is one visit, and no more. */
export interface StillPictures {
  /** Whether the same picture was there before: the same face, at the same place, in the same light. */
  isOne(face: SeenPicture): boolean;
  /** Of a visit that has ended: a face of nobody known that has not moved. */
  remember(face: SeenPicture): void;
}

export interface SeenPicture {
  readonly camera: string;
  readonly box: Box;
  readonly embedding: Embedding;
  readonly monotonicMs: number;
}

/** Boxes of a face that does not move overlap by this much (IoU): no detector is steadier. */
export const STILL_OVERLAP = 0.85;
/** More pictures than a street has. */
const KEPT_MAX = 16;
/** A picture that was not there for a day was taken down. */
const KEPT_MS = 24 * 3_600_000;

export interface StillPictureOptions {
  /** Two looks at one picture are this alike, a cosine. */
  readonly likeness: number;
  /** Called once for each picture, when it is seen again. */
  readonly told: (picture: SeenPicture) => void;
}

export function createStillPictures({ likeness, told }: StillPictureOptions): StillPictures {
  let kept: { picture: SeenPicture; seenMs: number; told: boolean }[] = [];
  const find = (face: SeenPicture) => {
    kept = kept.filter(({ seenMs }) => face.monotonicMs - seenMs < KEPT_MS);
    return kept.find(
      ({ picture: { camera, box, embedding } }) =>
        camera === face.camera &&
        overlap(box, face.box) >= STILL_OVERLAP &&
        cosine(embedding, face.embedding) >= likeness,
    );
  };
  return {
    isOne(face) {
      const found = find(face);
      if (found === undefined) return false;
      found.seenMs = face.monotonicMs;
      if (!found.told) told(found.picture);
      found.told = true;
      return true;
    },
    remember(face) {
      if (find(face) !== undefined) return;
      kept.push({ picture: face, seenMs: face.monotonicMs, told: false });
      if (kept.length > KEPT_MAX) kept.sort((a, b) => b.seenMs - a.seenMs).pop();
    },
  };
}
