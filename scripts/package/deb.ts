/** Makes a .deb of a tree: what dpkg(1) is told about it, and its archive, by dpkg-deb(1). */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Arch } from "../../edge/install/modules.ts";
import { run } from "../run-program.ts";
import type { PackageContent, Source } from "./program.ts";
import type { Tree } from "./tree.ts";

export const DEBIAN_ARCH = { x64: "amd64", arm64: "arm64" } as const satisfies Record<Arch, string>;

const SCRIPTS = ["preinst", "postinst", "prerm", "postrm"];
/**
 * What the programs inside ask for, by objdump -p and -T: glibc 2.34 and GCC 11's library (SQLite's
 * binding), libatomic (Node.js). Encrypted credentials came with systemd 250.
 */
const DEPENDS = [
  "libatomic1",
  "libc6 (>= 2.34)",
  "libgcc-s1",
  "libstdc++6 (>= 11)",
  "init-system-helpers (>= 1.54~)",
  "systemd (>= 250)",
];
const LINE = 78;
/** Of xz(1): 6, the usual, takes five times as long for a package that is a tenth smaller. */
const LEVEL = 2;

export interface DebRequest {
  readonly content: PackageContent;
  readonly source: Source;
  /** Who answers for the package: Debian's DEBFULLNAME and DEBEMAIL. */
  readonly maintainer: string;
  readonly compression: "xz" | "none";
  readonly folder: string;
}

/** Gives the file it made. The same tree at the same time gives the same bytes. */
export function makeDeb(tree: Tree, request: DebRequest): string {
  const { content, source, folder, compression } = request;
  const { name, conffiles } = content;
  const own = join(source.root, "scripts/package", name);
  const documents = `/usr/share/doc/${name}`;
  tree.compress(`${documents}/changelog`, changelog(request));
  tree.copy(join(own, "lintian-overrides"), `/usr/share/lintian/overrides/${name}`);
  tree.normalise(source.dateS);
  tree.write("/DEBIAN/md5sums", tree.md5sums());
  tree.write("/DEBIAN/control", control(request, tree.sizeKiB()));
  tree.write("/DEBIAN/conffiles", `${conffiles.join("\n")}\n`);
  for (const script of SCRIPTS.filter((each) => existsSync(join(own, each)))) {
    tree.write(`/DEBIAN/${script}`, readFileSync(join(own, script), "utf8"));
  }
  tree.normalise(source.dateS);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}_${source.version}_${DEBIAN_ARCH[source.arch]}.deb`);
  const options = ["--root-owner-group", `-Z${compression}`, `-z${LEVEL}`];
  run("dpkg-deb", [...options, "--build", tree.folder, file], {
    env: { SOURCE_DATE_EPOCH: String(source.dateS) },
  });
  return file;
}

function control({ content, source, maintainer }: DebRequest, sizeKiB: number): string {
  const { name, summary, description, suggests } = content;
  const fields = {
    Package: name,
    Version: source.version,
    Architecture: DEBIAN_ARCH[source.arch],
    Maintainer: maintainer,
    "Installed-Size": sizeKiB,
    Depends: DEPENDS.join(", "),
    Suggests: suggests.join(", "),
    Section: "net",
    Priority: "optional",
    Description: [summary, ...description.map(wrapped)].join("\n").replaceAll("\n\n", "\n .\n"),
  };
  return Object.entries(fields)
    .map(([field, value]) => `${field}: ${value}\n`)
    .join("");
}

/** A paragraph of a description: each line begins with a space, the paragraphs are apart. */
function wrapped(paragraph: string, index: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of paragraph.split(" ")) {
    if (line.length + word.length + 1 > LINE) {
      lines.push(line);
      line = "";
    }
    line += ` ${word}`;
  }
  return `${index === 0 ? "" : " .\n"}${[...lines, line].join("\n")}`;
}

function changelog({ content, source, maintainer }: DebRequest): string {
  const date = new Date(source.dateS * 1_000).toUTCString().replace("GMT", "+0000");
  return `${content.name} (${source.version}) stable; urgency=medium

  * Release ${source.version}.

 -- ${maintainer}  ${date}
`;
}
