/** The thresholds in the configuration against those that were measured for a pack. */
import { join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import { modelsFolder } from "../config/paths.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { thresholdProblems } from "../recognition/thresholds.ts";
import { manifestNames, readManifest } from "../vision/manifest.ts";
import { readPackFile } from "../vision/pack.ts";

/** What was set and does not hold with this pack. A pack that is not here and not known has no say. */
export async function packThresholdProblems(
  config: DeviceConfig,
  name: string = config.models.pack,
): Promise<string[]> {
  const file = await readPackFile(join(modelsFolder(config), name)).catch((error: unknown) => {
    if (!(error instanceof PorchlightError)) throw error;
    return manifestNames().includes(name) ? readManifest(name).pack : null;
  });
  return file === null ? [] : thresholdProblems(config.recognition, file);
}
