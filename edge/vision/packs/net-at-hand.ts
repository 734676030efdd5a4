import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { readPackFile, sha256OfFile } from "../pack.ts";
import { modelsOf } from "../pack-schema.ts";

/** Where a pack that is here has this net, whole; packs share detectors, and need them once. */
export async function netAtHand(
  modelsFolder: string,
  { sha256, bytes }: { readonly sha256: string; readonly bytes: number },
): Promise<string | undefined> {
  for (const name of await readdir(modelsFolder).catch(() => [])) {
    if (name.startsWith(".")) continue;
    const folder = join(modelsFolder, name);
    const pack = await readPackFile(folder).catch((error: unknown) => {
      if (error instanceof PorchlightError) return undefined;
      throw error;
    });
    const model = pack && modelsOf(pack).find((each) => each.sha256 === sha256);
    if (model === undefined) continue;
    const path = join(folder, model.file);
    const size = (await stat(path).catch(() => undefined))?.size;
    if (size === bytes && (await sha256OfFile(path)) === sha256) return path;
  }
  return undefined;
}
