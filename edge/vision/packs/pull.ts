import { createHash } from "node:crypto";
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { EXIT, messageOf, PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";
import { replaceFile } from "../../host/atomic-file.ts";
import { prepareNet } from "../convert/prepare.ts";
import type { Manifest, Source } from "../manifest.ts";
import { identityOf, loadPack, type PackIdentity } from "../pack.ts";
import { modelsOf, type PackFile } from "../pack-schema.ts";
import { type DownloadOptions, download, type Wanted, wrongFile } from "./download.ts";
import { installPack } from "./install.ts";

export interface PullOptions extends Omit<DownloadOptions, "progress"> {
  /** A folder or an http(s) address under which the published files lie, instead of their own. */
  readonly from?: string | undefined;
  /** Called with the bytes of a file that are here. */
  readonly progress?: (step: { file: string; done: number; total: number }) => void;
}

export interface Pulled {
  readonly pack: PackIdentity;
  /** False when the pack was here already, whole and of this version. */
  readonly changed: boolean;
}

const PARTIAL = ".partial";

/**
 * Gets the files of a pack as they were published, checks each against its pinned sha256, turns
 * them into nets of ours and puts the pack in place whole. Files on their way lie in
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
    const published = await getAll(modelsFolder, { pack, sources }, options);
    const installed = await installPack(modelsFolder, pack, async (folder) => {
      for (const { prepare, becomes, sha256 } of sources) {
        const bytes = published.get(sha256);
        if (bytes) replaceFile(join(folder, becomes), prepareNet(prepare, bytes), { mode: 0o644 });
      }
    });
    for (const { sha256 } of sources) await rm(partialFile(modelsFolder, sha256), { force: true });
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

async function getAll(
  modelsFolder: string,
  { pack, sources }: Manifest,
  options: PullOptions,
): Promise<Map<string, Buffer>> {
  const { from, progress } = options;
  const published = new Map<string, Buffer>();
  for (const source of sources) {
    const { file, bytes, sha256 } = source;
    const place = placeOf(source, from);
    const wanted = { ...source, pack: pack.name };
    if (place.protocol === "file:") published.set(sha256, await readFrom(place, wanted));
    else {
      await mkdir(join(modelsFolder, PARTIAL), { recursive: true });
      const partial = partialFile(modelsFolder, sha256);
      const step = (done: number): void => progress?.({ file, done, total: bytes });
      await download(place, partial, wanted, { ...options, progress: step });
      published.set(sha256, await readFile(partial));
    }
    progress?.({ file, done: bytes, total: bytes });
  }
  return published;
}

/** Where a file is to be got: its publisher, or under the folder or address given. */
function placeOf({ file, url }: Source, from: string | undefined): URL {
  if (from === undefined) return new URL(url);
  if (!/^https?:\/\//i.test(from)) return pathToFileURL(join(from, file));
  if (!URL.canParse(from)) throw notAPlace(from);
  const place = new URL(from);
  place.pathname = `${place.pathname.replace(/\/+$/, "")}/${file}`;
  return place;
}

async function readFrom(place: URL, source: Source & Wanted): Promise<Buffer> {
  const { file, bytes, sha256 } = source;
  const found = await stat(place).catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return undefined;
    throw error;
  });
  if (!found) {
    const folder = dirname(fileURLToPath(place));
    const isFolder = (await stat(folder).catch(() => undefined))?.isDirectory();
    if (!isFolder) throw notAPlace(folder);
    throw new PorchlightError(
      "model.download.missing",
      `${file} is not in ${folder}; its sha256 is ${sha256}`,
      { hint: `fetch it where there is a network, and copy it there: curl -LO ${source.url}` },
    );
  }
  if (found.size !== bytes) throw wrongFile(source, `has ${found.size} bytes`);
  const content = await readFile(place);
  const digest = createHash("sha256").update(content).digest("hex");
  if (digest !== sha256) throw wrongFile(source, `has sha256 ${digest}`);
  return content;
}

function partialFile(modelsFolder: string, sha256: string): string {
  return join(modelsFolder, PARTIAL, sha256);
}

function notAPlace(from: string): PorchlightError {
  return new PorchlightError("model.download.from", `${from} is no folder and no address`, {
    exitCode: EXIT.usage,
    hint: "see: porchlight models pull --help",
  });
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
