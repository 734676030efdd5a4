import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { invariant, PorchlightError } from "../../../shared/core/errors.ts";
import { replaceFile } from "../../host/atomic-file.ts";
import { buildNet, canBuild } from "../convert/build/default-pack.ts";
import { manifestNames, readManifest } from "../manifest.ts";
import { identityOf, loadPack, type PackIdentity, readPackFile } from "../pack.ts";
import { modelsOf, type PackFile, packSchema } from "../pack-schema.ts";
import { installPack } from "./install.ts";

export interface PackListing {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly sizeBytes: number;
  /** Where it lies, if it is here. */
  readonly folder: string | undefined;
  /** How to get it: from the npm dependency, from its publishers, or only by hand. */
  readonly origin: "build" | "pull" | "hand";
}

/** Called with the net being made and how many are made. */
export type BuildProgress = (step: { file: string; done: number; total: number }) => void;

/** The packs that are here and those this version knows how to get, by name. */
export async function listPacks(modelsFolder: string): Promise<PackListing[]> {
  const here = new Map<string, PackFile>();
  for (const name of await foldersOf(modelsFolder)) {
    const file = await readPackFile(join(modelsFolder, name)).catch((error: unknown) => {
      if (error instanceof PorchlightError) return undefined;
      throw error;
    });
    if (file) here.set(name, file);
  }
  const known = manifestNames();
  return [...new Set([...known, ...here.keys()])].sort().map((name) => {
    const manifest = known.includes(name) ? readManifest(name) : undefined;
    const file = here.get(name) ?? manifest?.pack;
    invariant(file, "a listed pack is here or known");
    return {
      name,
      version: file.version,
      licence: file.licence,
      sizeBytes: modelsOf(file).reduce((sum, { bytes }) => sum + bytes, 0),
      folder: here.has(name) ? join(modelsFolder, name) : undefined,
      origin: manifest ? (manifest.sources.length === 0 ? "build" : "pull") : "hand",
    };
  });
}

/** Builds a pack from the weights inside the npm dependency and puts it in place. */
export async function buildPack(
  modelsFolder: string,
  name = "default",
  progress: BuildProgress = () => undefined,
): Promise<PackIdentity> {
  const { pack } = readManifest(name);
  const models = modelsOf(pack);
  if (!models.every(({ architecture }) => canBuild(architecture))) {
    throw new PorchlightError("model.pack.not-built", `${name} is pulled, not built`, {
      hint: `run: porchlight models pull ${name}`,
    });
  }
  const installed = await installPack(modelsFolder, pack, async (folder) => {
    for (const [done, { file, architecture }] of models.entries()) {
      progress({ file, done, total: models.length });
      replaceFile(join(folder, file), buildNet(architecture), { mode: 0o644 });
    }
  });
  progress({ file: "", done: models.length, total: models.length });
  return identityOf(installed);
}

/** Checks the sha256 of every file of a pack. Throws `model.pack.unknown` for any other word. */
export async function verifyPack(modelsFolder: string, name: string): Promise<PackIdentity> {
  const isName = packSchema.shape.name.safeParse(name).success;
  const here = isName && (await foldersOf(modelsFolder)).includes(name);
  if (!here) readManifest(name);
  return identityOf(await loadPack(join(modelsFolder, name)));
}

async function foldersOf(modelsFolder: string): Promise<string[]> {
  const names = await readdir(modelsFolder).catch(() => []);
  const folders: string[] = [];
  for (const name of names) {
    if (name.startsWith(".")) continue;
    if ((await stat(join(modelsFolder, name)).catch(() => undefined))?.isDirectory()) {
      folders.push(name);
    }
  }
  return folders;
}
