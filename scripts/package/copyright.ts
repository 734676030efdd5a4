/** The copyright file of a package, in Debian's format 1.0: ours, Node.js, and each npm package. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { PackageName } from "./program.ts";
import type { Tree } from "./tree.ts";

const person = z.union([z.string(), z.object({ name: z.string().default("") })]);
const moduleSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.union([z.string(), z.object({ type: z.string() })]).default("see its files"),
  author: person.optional(),
});

const HEAD = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Porchlight
Comment: Porchlight with its own Node.js and the npm packages it needs. Each of them keeps its
 licence, word by word, in its folder.

Files: *
Copyright: the authors of Porchlight
License: Apache-2.0
 On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.
`;

export function copyright(tree: Tree, name: PackageName): string {
  const library = `usr/lib/${name}`;
  const node = `Files: ${library}/bin/node
Copyright: the contributors of Node.js, and of the projects inside it
License: MIT-and-others
 The whole text is in /usr/share/doc/${name}/nodejs-LICENSE.gz.
`;
  const modules = tree
    .paths()
    .filter((path) => /\/node_modules\/(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path))
    .map((path) => stanza(tree, path.slice(0, -"/package.json".length)));
  return [HEAD, node, ...packs(tree), ...modules].join("\n");
}

/** The nets of a door, which say by themselves where they come from. */
function packs(tree: Tree): string[] {
  const file = tree.paths().find((path) => path.endsWith("models/default/pack.json"));
  if (file === undefined) return [];
  const text = readFileSync(tree.at(file), "utf8");
  const { licence } = z.object({ licence: z.string() }).parse(JSON.parse(text));
  return [
    `Files: ${dirname(file)}/*
Copyright: Vladimir Mandic, and the authors of dlib
License: MIT
 ${licence}
`,
  ];
}

function stanza(tree: Tree, folder: string): string {
  const text = readFileSync(tree.at(join(folder, "package.json")), "utf8");
  const { name, version, license, author } = moduleSchema.parse(JSON.parse(text));
  const who = typeof author === "string" ? author : author?.name;
  const licence = typeof license === "string" ? license : license.type;
  const whole = existsSync(tree.at(folder))
    ? readdirSync(tree.at(folder)).find((file) => /^(licen[cs]e|copying)/i.test(file))
    : undefined;
  const place =
    whole === undefined ? `As its package.json says, ${licence}.` : `Whole: /${folder}/${whole}`;
  return `Files: ${folder}/*
Copyright: ${who || `the authors of ${name}`}
License: ${licence.replaceAll(/[^\w.+-]+/g, "-")}
 ${name} ${version}. ${place}
`;
}
