/** Where a demo keeps its store, its centre and its pictures. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";

/** Marker: everything in this folder was made by a demo. */
const MARK = ".porchlight-demo";

/** In the clone; where that is another's or read-only, in this user's cache, or a temporary one. */
export function defaultFolder(
  program: string,
  { HOME, XDG_CACHE_HOME }: Readonly<Record<string, string | undefined>>,
): string {
  const caches = [XDG_CACHE_HOME, HOME === undefined ? undefined : join(HOME, ".cache")];
  const own = caches.flatMap((cache) => (cache ? [join(cache, "porchlight")] : []));
  for (const folder of [join(program, ".cache"), ...own]) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      return join(folder, "demo");
    } catch {
      // Not ours to write to: the next one may be.
    }
  }
  return mkdtempSync(join(tmpdir(), "porchlight-demo-"));
}

/**
 * Empties what an earlier demo has left. Any other folder that holds something is refused: it may be
 * somebody's photos, or a store. Throws `demo.folder`.
 */
export function clearFolder(folder: string, isDefault: boolean): void {
  if (!isDefault && existsSync(folder)) {
    const inside = statSync(folder).isDirectory() ? readdirSync(folder) : [""];
    if (inside.length > 0 && !inside.includes(MARK)) {
      throw new PorchlightError("demo.folder", `${folder} is not empty, and holds no demo`, {
        exitCode: EXIT.usage,
        hint: "choose an empty folder: porchlight demo --data DIR",
      });
    }
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, MARK), "");
}
