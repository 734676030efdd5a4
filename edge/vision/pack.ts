import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { howToGet } from "./manifest.ts";
import {
  type LocalThresholds,
  localSchema,
  type ModelFile,
  modelsOf,
  type PackFile,
  packSchema,
} from "./pack-schema.ts";

export const PACK_FILE = "pack.json";
export const LOCAL_FILE = "local.json";

/** A model pack on disk whose files were found to be what they should be. */
export interface Pack {
  readonly folder: string;
  readonly file: PackFile;
  readonly local: LocalThresholds | undefined;
}

/** What others remember of a pack: every template names the `id` of the one that made it. */
export interface PackIdentity {
  readonly name: string;
  readonly version: string;
  /** `name@version`. Embeddings of different ids are never compared. */
  readonly id: string;
  readonly licence: string;
  readonly dimension: number;
  readonly thresholds: Thresholds;
  readonly models: readonly { readonly file: string; readonly sha256: string }[];
}

export interface Thresholds {
  /** Least cosine similarity at which two faces are one person. */
  readonly match: number;
  /** How far the best person must lie before the second best. */
  readonly margin: number;
  /** Measured pairs of false accept rate (one comparison) and threshold. */
  readonly far: readonly { readonly far: number; readonly threshold: number }[];
  /** Whether `match` and `margin` are the owner's own, from local.json. */
  readonly calibrated: boolean;
}

/** Reads a pack and checks the sha256 of every file of it. */
export async function loadPack(folder: string): Promise<Pack> {
  const file = await readPackFile(folder);
  for (const model of modelsOf(file)) await checkModel(folder, model);
  return { folder, file, local: await readLocal(folder) };
}

/** Reads pack.json alone. */
export async function readPackFile(folder: string): Promise<PackFile> {
  const path = join(folder, PACK_FILE);
  const text = await readText(path);
  if (text === undefined) {
    throw new PorchlightError("model.pack.missing", `there is no model pack in ${folder}`, {
      hint: howToGet(basename(folder)),
    });
  }
  return parse(packSchema, text, path);
}

export function identityOf({ file, local }: Pack): PackIdentity {
  const { name, version, licence, models, thresholds } = file;
  return {
    name,
    version,
    id: `${name}@${version}`,
    licence,
    dimension: models.embedder.dimension,
    thresholds: {
      match: local?.match ?? thresholds.match,
      margin: local?.margin ?? thresholds.margin,
      far: thresholds.far,
      calibrated: local !== undefined,
    },
    models: modelsOf(file).map((model) => ({ file: model.file, sha256: model.sha256 })),
  };
}

export async function sha256OfFile(path: string): Promise<string> {
  return await digestOfFile(path, "sha256");
}

/** In hex. Streams: a net may be larger than what the daemon may hold. */
export async function digestOfFile(path: string, algorithm: "sha256" | "sha512"): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

async function checkModel(folder: string, { file, sha256, bytes }: ModelFile): Promise<void> {
  const path = join(folder, file);
  const found = await stat(path).catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (!found) throw damaged("model.file.missing", `${path} is missing`, folder);
  if (found.size !== bytes || (await sha256OfFile(path)) !== sha256) {
    throw damaged("model.file.changed", `${path} is not the file the pack pins`, folder);
  }
}

async function readLocal(folder: string): Promise<LocalThresholds | undefined> {
  const path = join(folder, LOCAL_FILE);
  const text = await readText(path);
  return text === undefined ? undefined : parse(localSchema, text, path);
}

async function readText(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return undefined;
    if (systemCodeOf(error) === "EACCES") {
      throw new PorchlightError("model.pack.unreadable", `this user may not read ${path}`, {
        hint: `sudo chmod -R a+rX ${dirname(path)}`,
      });
    }
    throw error;
  });
}

function parse<T>(schema: z.ZodType<T>, text: string, path: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw broken(path, "is not JSON", error);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const problems = z.prettifyError(result.error).replaceAll("\n", " ");
  throw broken(path, `is not as a pack should be: ${problems}`, result.error);
}

function broken(path: string, reason: string, cause: unknown): PorchlightError {
  const hint =
    basename(path) === LOCAL_FILE
      ? `delete it, the pack's own thresholds hold then: rm ${path}`
      : howToGet(basename(dirname(path)));
  return new PorchlightError("model.pack.broken", `${path} ${reason}`, { hint, cause });
}

function damaged(code: string, message: string, folder: string): PorchlightError {
  return new PorchlightError(code, message, { hint: howToGet(basename(folder)) });
}
