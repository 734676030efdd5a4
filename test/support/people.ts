import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Actor, castFromGroups } from "../../edge/demo/cast.ts";
import { composeVisit, emptyPorch } from "../../edge/demo/scenes.ts";
import { encodeJpeg } from "../../edge/vision/image.ts";
import { openVision, type Vision } from "../../edge/vision/vision.ts";
import { silentLogger } from "../../shared/core/logger.ts";

/** The default pack, as scripts/setup.mjs builds it. */
export const DEFAULT_PACK = fileURLToPath(new URL("../../.cache/models/default", import.meta.url));

/** Group photos inside an npm dependency: real faces that every clone has. */
export const BUNDLED_PHOTOS = join(
  dirname(fileURLToPath(import.meta.resolve("@vladmandic/face-api/package.json"))),
  "demo",
);

export function openDefaultVision(): Promise<Vision> {
  return openVision({ packFolder: DEFAULT_PACK, threads: 1, logger: silentLogger });
}

/** Real people, three of them strangers, cut out of the bundled photos. */
export async function bundledPeople(): Promise<readonly Actor[]> {
  const vision = await openDefaultVision();
  try {
    return await castFromGroups(vision, BUNDLED_PHOTOS);
  } finally {
    await vision.close();
  }
}

/** Writes each enrolled person's photo as `<folder>/<name>/1.jpg`. */
export function writePhotos(actors: readonly Actor[], folder: string): void {
  for (const { name, enrolment } of actors) {
    for (const [i, jpeg] of enrolment.entries()) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, `${i + 1}.jpg`), jpeg);
    }
  }
}

/** Writes the frames of visits by these people, an empty porch between them; gives their count. */
export async function writeScenes(
  actors: readonly Actor[],
  folder: string,
  emptyFrames: number,
): Promise<number> {
  mkdirSync(folder, { recursive: true });
  const porch = await emptyPorch();
  const empty = await encodeJpeg(porch);
  let count = 0;
  for (const { looks } of actors) {
    const { frames } = await composeVisit(porch, looks, 0.4);
    for (const jpeg of [...frames, ...Array<Buffer>(emptyFrames).fill(empty)]) {
      writeFileSync(join(folder, `${String(count++).padStart(4, "0")}.jpg`), jpeg);
    }
  }
  return count;
}
