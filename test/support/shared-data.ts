import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** Photos and nets that are not part of the program: $PORCHLIGHT_SHARED, or ../shared. */
const FOLDER = resolve(process.env["PORCHLIGHT_SHARED"] ?? "../shared");

/**
 * A folder of those, or null after a note. They can be neither bought nor installed, so what needs
 * them is an extra, not a promise: a note never fails a run.
 */
export function sharedData(name: "models" | "faces"): string | null {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return folder;
  process.stdout.write(`\nnote: ${folder} is not here, so what needs it was not tried\n`);
  return null;
}
