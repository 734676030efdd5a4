import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A fresh folder for one test; `remove` deletes it and all in it. */
export function tempFolder(
  label: string,
  where = tmpdir(),
): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(where, `porchlight-${label}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
