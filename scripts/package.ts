/**
 * Makes the Debian packages of a door and of a centre, for both processors, on whichever of them
 * this runs. Wants a clone that is set up (npm run package does that). One commit, one set of bytes.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { COMMANDS as CLOUD_COMMANDS } from "../cloud-sync/cli/commands.ts";
import { COMMANDS } from "../edge/cli/commands.ts";
import type { Arch } from "../edge/install/modules.ts";
import { CENTRE } from "./package/centre.ts";
import { DEBIAN_ARCH, makeDeb } from "./package/deb.ts";
import { DEVICE } from "./package/device.ts";
import { modulesFor } from "./package/modules.ts";
import { addDocumentation, addProgram, type Source } from "./package/program.ts";
import { Tree } from "./package/tree.ts";
import { run } from "./run-program.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CACHE = join(ROOT, ".cache/package");
const PROGRAMS = { "dpkg-deb": "dpkg", xz: "xz-utils" };
const ARCHS: readonly Arch[] = ["x64", "arm64"];
const USAGE =
  "usage: npm run package -- [--arch amd64|arm64] [--name porchlight|porchlight-cloud] " +
  "[--version V] [--compression xz|none] [--out DIR]";

function fail(message: string, hint: string): never {
  process.stderr.write(`porchlight package: ${message}\n  ${hint}\n`);
  process.exit(1);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        arch: { type: "string" },
        name: { type: "string" },
        version: { type: "string" },
        compression: { type: "string", default: "xz" },
        out: { type: "string", default: join(ROOT, "packages") },
      },
    });
    const schema = z.object({
      arch: z.enum(["amd64", "arm64"]).optional(),
      name: z.enum(["porchlight", "porchlight-cloud"]).optional(),
      version: z
        .string()
        .regex(/^\d[\d.+~a-z]*$/)
        .optional(),
      compression: z.enum(["xz", "none"]),
      out: z.string(),
    });
    return schema.parse(values);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), USAGE);
  }
}

/** Of the commit, unless SOURCE_DATE_EPOCH names another time. */
function sourceDateS(): number {
  const given = process.env["SOURCE_DATE_EPOCH"];
  if (given !== undefined) return Number(given);
  const { status, stdout } = spawnSync("git", ["-C", ROOT, "log", "-1", "--format=%ct"], {
    encoding: "utf8",
  });
  if (status === 0) return Number(stdout);
  return fail("this is no clone, so the packages have no date", "set SOURCE_DATE_EPOCH (seconds)");
}

function version(): string {
  const text = readFileSync(join(ROOT, "package.json"), "utf8");
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

const { arch: only, name, version: asked, compression, out } = options();
const missing = Object.entries(PROGRAMS).filter(
  ([program]) => spawnSync(program, ["--version"], { stdio: "ignore" }).error !== undefined,
);
if (missing.length > 0) {
  const packages = missing.map(([, debianPackage]) => debianPackage).join(" ");
  fail(
    `${missing.map(([program]) => program).join(", ")} not found`,
    `apt-get install ${packages}`,
  );
}
const maintainer = `${process.env["DEBFULLNAME"] ?? "Porchlight maintainers"} <${process.env["DEBEMAIL"] ?? "maintainers@porchlight.invalid"}>`;
const common = { root: ROOT, version: asked ?? version(), dateS: sourceDateS() };

for (const arch of ARCHS.filter((each) => only === undefined || DEBIAN_ARCH[each] === only)) {
  const source: Source = { ...common, arch, modules: modulesFor(ROOT, CACHE, arch) };
  for (const content of [DEVICE, CENTRE].filter(
    (each) => name === undefined || each.name === name,
  )) {
    const tree = new Tree(join(CACHE, `${content.name}-${arch}.${process.pid}`));
    try {
      addProgram(tree, content, source);
      content.add(tree, source);
      if (content === DEVICE) addDocumentation(tree, content, source, COMMANDS);
      else addDocumentation(tree, content, source, CLOUD_COMMANDS);
      const file = makeDeb(tree, { content, source, maintainer, compression, folder: out });
      const sha256 = run("sha256sum", [file]).slice(0, 64);
      const sizeMB = (statSync(file).size / 1e6).toFixed(1);
      process.stdout.write(`${file} (${sizeMB} MB, sha256 ${sha256})\n`);
    } finally {
      rmSync(tree.folder, { recursive: true, force: true });
    }
  }
}
