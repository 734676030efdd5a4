import { readdirSync, readFileSync } from "node:fs";
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { packSchema } from "./pack-schema.ts";

/**
 * What this version of the program knows to build or pull: manifests/<name>.json, each the whole
 * pack.json that must come out (with the sha256 of every net) and where its files come from.
 */
const FOLDER = new URL("./manifests/", import.meta.url);

const NPM_URL =
  /^npm:((?:@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*)@(\d+\.\d+\.\d+[\w.+-]*)\/([\w.-]+(?:\/[\w.-]+)*)$/;

const published = {
  /** What a mirror or a folder calls it. */
  file: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  bytes: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  licence: z.string().min(1),
  /** How the published net becomes one of ours, see prepare.ts. */
  prepare: z.enum(["yunet", "sface", "mobilefacenet", "compact", "none"]),
  /** The net of the pack that it becomes. */
  becomes: z.string(),
};

const webSourceSchema = z.strictObject({ ...published, url: z.url({ protocol: /^https$/ }) });

const npmSourceSchema = z.strictObject({
  ...published,
  /** npm:<package>@<version>/<file in the package> */
  url: z.string().regex(NPM_URL),
  /** The package as registries have it: its size, and its digest in npm's words. */
  tarball: z.strictObject({
    bytes: z.int().positive(),
    integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]{86}==$/),
  }),
});

const sourceSchema = z.union([npmSourceSchema, webSourceSchema]);

const manifestSchema = z.strictObject({
  pack: packSchema,
  /** Empty for packs that are built from the weights inside an npm dependency. */
  sources: z.array(sourceSchema).max(8),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type Source = z.infer<typeof sourceSchema>;
export type NpmSource = z.infer<typeof npmSourceSchema>;

/** A file of a package: which one, and where in it. */
export function npmFile({ url }: NpmSource) {
  const [, name = "", version = "", path = ""] = NPM_URL.exec(url) ?? [];
  return { name, version, path };
}

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
