import { readdirSync, readFileSync } from "node:fs";
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { packSchema } from "./pack-schema.ts";

/**
 * What this version of the program knows to build or pull: manifests/<name>.json, each the whole
 * pack.json that must come out (with the sha256 of every net) and where its files come from.
 */
const FOLDER = new URL("./manifests/", import.meta.url);

const sourceSchema = z.strictObject({
  /** What a mirror or a folder calls it. */
  file: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  url: z.url({ protocol: /^https$/ }),
  bytes: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  licence: z.string().min(1),
  /** How the published net becomes one of ours, see prepare.ts. */
  prepare: z.enum(["yunet", "sface", "mobilefacenet", "none"]),
  /** The net of the pack that it becomes. */
  becomes: z.string(),
});

const manifestSchema = z.strictObject({
  pack: packSchema,
  /** Empty for packs that are built from the weights inside an npm dependency. */
  sources: z.array(sourceSchema).max(8),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type Source = z.infer<typeof sourceSchema>;

export function manifestNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

export function readManifest(name: string): Manifest {
  const names = manifestNames();
  if (!names.includes(name)) {
    throw new PorchlightError("model.pack.unknown", `there is no model pack named ${name}`, {
      exitCode: EXIT.notFound,
      hint: `the packs are: ${names.join(", ")}; see: porchlight models list`,
    });
  }
  return manifestSchema.parse(JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf8")));
}

/** The command that installs or repairs a pack. */
export function howToGet(name: string): string {
  if (!manifestNames().includes(name)) return "see the packs: porchlight models list";
  const verb = readManifest(name).sources.length === 0 ? "build" : "pull";
  return `run: porchlight models ${verb} ${name}`;
}
