import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import { basename, join } from "node:path";
import { PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";
import { replaceFile, syncFolder } from "../../host/atomic-file.ts";
import { LOCAL_FILE, loadPack, PACK_FILE, type Pack, readPackFile, sha256OfFile } from "../pack.ts";
import { type LocalThresholds, localSchema, modelsOf, type PackFile } from "../pack-schema.ts";

/**
 * Packs are swapped whole. rename(2) cannot replace a folder that has files, but it can replace a
 * link, so a pack's name is a link to a folder that never changes once it is complete:
 *
 *   models/default            → .packs/default-Xk29fQ
 *   models/.packs/default-…     pack.json, *.onnx
 *   models/.partial/<sha256>    downloads that may be resumed
 *
 * A folder of that name put there by hand is as good.
 */
const PACKS = ".packs";

/** Makes a pack in a new folder, checks it and puts it in place of the old one in one step. */
export async function installPack(
  modelsFolder: string,
  file: PackFile,
  fill: (folder: string) => Promise<void>,
): Promise<Pack> {
  await mkdir(join(modelsFolder, PACKS), { recursive: true });
  const folder = await mkdtemp(join(modelsFolder, PACKS, `${file.name}-`));
  // Nets are no secret: root pulls them, the daemon's user reads them.
  await chmod(folder, 0o755);
  try {
    await fill(folder);
    for (const model of modelsOf(file)) await checkMade(folder, model);
    replaceFile(join(folder, PACK_FILE), `${JSON.stringify(file, null, 2)}\n`, { mode: 0o644 });
    await keepLocal(join(modelsFolder, file.name), folder, file);
    await loadPack(folder);
    await swap(modelsFolder, file.name, folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  await removeOld(modelsFolder, file.name, basename(folder));
  return await loadPack(join(modelsFolder, file.name));
}

/** Writes the owner's own thresholds into a pack's folder; they apply from the next start on. */
export async function writeLocal(packFolder: string, local: LocalThresholds): Promise<void> {
  const text = `${JSON.stringify(localSchema.parse(local), null, 2)}\n`;
  replaceFile(join(packFolder, LOCAL_FILE), text, { mode: 0o644 });
}

async function checkMade(
  folder: string,
  model: { readonly file: string; readonly sha256: string },
): Promise<void> {
  const found = await sha256OfFile(join(folder, model.file));
  if (found === model.sha256) return;
  throw new PorchlightError(
    "model.file.unexpected",
    `${model.file} has sha256 ${found}, not ${model.sha256} as pinned`,
    { hint: "repair the program with npm ci, then run the same command again" },
  );
}

/** The owner's thresholds outlive a repair of the same pack, not a change to another version. */
async function keepLocal(old: string, folder: string, file: PackFile): Promise<void> {
  try {
    const { version } = await readPackFile(old);
    if (version !== file.version) return;
    await copyFile(join(old, LOCAL_FILE), join(folder, LOCAL_FILE), constants.COPYFILE_EXCL);
  } catch (error) {
    const nothingThere = systemCodeOf(error) === "ENOENT" || error instanceof PorchlightError;
    if (!nothingThere) throw error;
  }
}

async function swap(modelsFolder: string, name: string, folder: string): Promise<void> {
  const place = join(modelsFolder, name);
  const link = join(modelsFolder, PACKS, `.${basename(folder)}.link`);
  await symlink(join(PACKS, basename(folder)), link);
  const there = await lstat(place).catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  // A folder put there by hand is moved among the old ones first; the only case with a gap.
  if (there?.isDirectory()) {
    const aside = `${name}-by-hand-${randomBytes(4).toString("hex")}`;
    await rename(place, join(modelsFolder, PACKS, aside));
  }
  await rename(link, place);
  for (const folder of [join(modelsFolder, PACKS), modelsFolder]) syncFolder(folder);
}

/** Folders of this pack that no link names any more, also those a crash left behind. */
async function removeOld(modelsFolder: string, name: string, current: string): Promise<void> {
  const target = basename(await readlink(join(modelsFolder, name)));
  for (const entry of await readdir(join(modelsFolder, PACKS))) {
    const ours = entry.slice(0, entry.lastIndexOf("-")) === name;
    if (ours && entry !== current && entry !== target) {
      await rm(join(modelsFolder, PACKS, entry), { recursive: true, force: true });
    }
  }
}
