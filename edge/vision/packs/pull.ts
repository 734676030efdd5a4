import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";
import { replaceFile } from "../../host/atomic-file.ts";
import { buildNet, canBuild } from "../convert/build/default-pack.ts";
import { prepareNet } from "../convert/prepare.ts";
import type { Manifest } from "../manifest.ts";
import { identityOf, loadPack, type PackIdentity } from "../pack.ts";
import { modelsOf, type PackFile } from "../pack-schema.ts";
import { installPack } from "./install.ts";
import { netAtHand } from "./net-at-hand.ts";
import { type PublishedOptions, partialFiles, publishedFile } from "./published.ts";

export type PullOptions = PublishedOptions;

export interface Pulled {
  readonly pack: PackIdentity;
  /** False when the pack was here already, whole and of this version. */
  readonly changed: boolean;
}

const PARTIAL = ".partial";

/**
 * Gets the files of a pack as they were published, checks each against its pinned sha256, turns
 * them into nets of ours and puts the pack in place whole. A net that another pack here has is
 * copied, one that comes with the program is built. Files on their way lie in
 * models/.partial/<sha256>; until everything is right, the pack that was there stays.
 */
export async function pullPack(
  modelsFolder: string,
  { pack, sources }: Manifest,
  options: PullOptions,
): Promise<Pulled> {
  if (sources.length === 0) {
    throw new PorchlightError("model.pack.not-pulled", `${pack.name} is built, not pulled`, {
      hint: `run: porchlight models build ${pack.name}`,
    });
  }
  const here = await alreadyHere(modelsFolder, pack);
  if (here) return { pack: here, changed: false };
  try {
    const nets = await netsOf(modelsFolder, { pack, sources }, options);
    const installed = await installPack(modelsFolder, pack, async (folder) => {
      for (const [file, net] of nets) {
        const place = join(folder, file);
        if (typeof net === "string") await copyFile(net, place);
        else replaceFile(place, net, { mode: 0o644 });
      }
    });
    for (const source of sources) {
      for (const file of partialFiles(join(modelsFolder, PARTIAL), source)) {
        await rm(file, { force: true });
      }
    }
    return { pack: identityOf(installed), changed: true };
  } catch (error) {
    throw diskError(modelsFolder, error);
  }
}

/** The pack in place, when it is whole and made of the nets the manifest pins. */
async function alreadyHere(modelsFolder: string, pack: PackFile): Promise<PackIdentity | null> {
  try {
    const found = await loadPack(join(modelsFolder, pack.name));
    const wanted = modelsOf(pack).map(({ sha256 }) => sha256);
    const same = modelsOf(found.file).every(({ sha256 }, i) => sha256 === wanted[i]);
    return same && found.file.version === pack.version ? identityOf(found) : null;
  } catch (error) {
    if (error instanceof PorchlightError) return null;
    throw error;
  }
}

/** The nets of a pack by their file: what they were made into, or where another pack has them. */
async function netsOf(
  modelsFolder: string,
  { pack, sources }: Manifest,
  options: PullOptions,
): Promise<Map<string, Buffer | string>> {
  const nets = new Map<string, Buffer | string>();
  for (const model of modelsOf(pack)) {
    const elsewhere = await netAtHand(modelsFolder, model);
    const source = sources.find(({ becomes }) => becomes === model.file);
    if (elsewhere !== undefined) nets.set(model.file, elsewhere);
    else if (source) {
      const wish = { pack: pack.name, source };
      const published = await publishedFile(join(modelsFolder, PARTIAL), wish, options);
      nets.set(model.file, prepareNet(source.prepare, published));
    } else if (canBuild(model.architecture)) nets.set(model.file, buildNet(model.architecture));
  }
  return nets;
}

/** A full disk or a folder of somebody else's is the owner's to mend, not a fault of ours. */
function diskError(modelsFolder: string, error: unknown): unknown {
  const code = systemCodeOf(error);
  if (error instanceof PorchlightError || code === undefined) return error;
  return new PorchlightError("model.folder", `${modelsFolder}: ${messageOf(error)}`, {
    hint: `look at its owner and the space left: ls -ld ${modelsFolder}; df -h ${modelsFolder}`,
    cause: error,
  });
}
