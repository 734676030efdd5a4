import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { cropFace } from "../../../edge/vision/crop.ts";
import { type Face, largestFirst, type RgbImage } from "../../../edge/vision/face.ts";
import { blur, brighten, decodeImage } from "../../../edge/vision/image.ts";
import type { Vision } from "../../../edge/vision/vision.ts";
import { COVERINGS, cover, overexpose } from "../../support/occlusion.ts";
import { BUNDLED_PHOTOS, openDefaultVision } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";

const covering = suite("a face that is hidden in part");
let vision: Vision;
const portraits: { readonly image: RgbImage; readonly face: Face }[] = [];

covering.before(async () => {
  vision = await openDefaultVision();
  for (const name of readdirSync(BUNDLED_PHOTOS).filter((file) => /^sample\d\.jpg$/.test(file))) {
    const photo = await decodeImage(readFileSync(join(BUNDLED_PHOTOS, name)), { maxSidePx: 1280 });
    for (const face of await vision.detect(photo)) {
      if (face.quality.widthPx < 45) continue;
      const image = cropFace(photo, face);
      const [found] = largestFirst(await vision.detect(image));
      if (found !== undefined) portraits.push({ image, face: found });
    }
  }
});
covering.after(() => vision.close());

/** Why the largest face is not used; null where it is, or where none was found. */
async function reasonsOf(image: RgbImage): Promise<readonly string[] | null> {
  const [face] = largestFirst(await vision.detect(image));
  return face === undefined || face.quality.usable ? null : face.quality.reasons;
}

covering("is usable when it is bare, also blurred a little and in poor light", async () => {
  assert.ok(portraits.length >= 12, `${portraits.length} faces`);
  const isHidden = async (image: RgbImage): Promise<boolean> => {
    const reasons = (await reasonsOf(image)) ?? [];
    return reasons.includes("covered") || reasons.includes("overexposed");
  };
  for (const { image } of portraits) assert.not(await isHidden(image));
  let refused = 0;
  for (const { image } of portraits) {
    const changed = [await blur(image, 1), await brighten(image, 0.6), overexpose(image, 1.2)];
    for (const each of changed) if (await isHidden(each)) refused++;
  }
  assert.ok(refused <= portraits.length * 3 * 0.1, `${refused} of ${portraits.length * 3}`);
});

for (const thing of COVERINGS) {
  covering(`is covered by a ${thing}`, async () => {
    let seen = 0;
    let missed = 0;
    for (const { image, face } of portraits) {
      const drawn = cover(image, face.points, thing);
      const [found] = largestFirst(await vision.detect(drawn));
      if (found === undefined) continue;
      seen++;
      if (found.quality.usable) missed++;
    }
    assert.ok(seen >= 5, `${seen} faces found`);
    assert.ok(missed <= seen * 0.15, `${missed} of ${seen} were not noticed`);
  });
}

covering("is overexposed where much of it is white", async () => {
  const told = new Map<string, number>();
  for (const { image } of portraits) {
    for (const factor of [2, 2.5, 3]) {
      const [face] = largestFirst(await vision.detect(overexpose(image, factor)));
      const words = face === undefined ? "not found" : (face.quality.reasons[0] ?? "usable");
      told.set(words, (told.get(words) ?? 0) + 1);
    }
  }
  const of = (words: string): number => told.get(words) ?? 0;
  assert.ok(of("overexposed") >= 5, JSON.stringify([...told]));
});

covering.run();
