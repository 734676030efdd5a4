/** Copies the program: what was compiled, its Node.js, and of node_modules what runs on a device. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { arch as processor } from "node:os";
import { dirname, join, relative } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import { syncFolder } from "../host/atomic-file.ts";
import { type Arch, CENTRE_ONLY, copyModule, modulesOf } from "./modules.ts";

const FILES = ["dist", "systemd", "package.json", "package-lock.json", "LICENSE"];
const CENTRE_ROOM = /^dist\/cloud-sync(\/|$)/;

/**
 * The new program stands beside the old one until it is whole, then takes its place. `node` is the
 * Node.js of its own.
 */
export function copyProgram(from: string, to: string, node: string): void {
  if (!existsSync(join(from, "dist"))) {
    throw new PorchlightError("install.build", `there is nothing compiled in ${from}`, {
      hint: "compile it first: npm run setup",
    });
  }
  const arch = archOf(processor());
  const next = `${to}.new`;
  rmSync(next, { recursive: true, force: true });
  mkdirSync(join(next, "bin"), { recursive: true });
  cpSync(node, join(next, "bin/node"));
  for (const file of FILES) {
    if (existsSync(join(from, file)))
      cpSync(join(from, file), join(next, file), {
        recursive: true,
        filter: (path) => !CENTRE_ROOM.test(relative(from, path)),
      });
  }
  for (const path of modulesOf(from, CENTRE_ONLY)) {
    copyModule(join(from, path), join(next, path), arch);
  }
  // Thousands of files: the whole file system is synced once, not each of them.
  spawnSync("sync", ["--file-system", next], { stdio: "ignore" });
  const before = `${to}.old`;
  rmSync(before, { recursive: true, force: true });
  if (existsSync(to)) renameSync(to, before);
  renameSync(next, to);
  syncFolder(dirname(to));
  rmSync(before, { recursive: true, force: true });
}

function archOf(name: string): Arch {
  if (name === "x64" || name === "arm64") return name;
  throw new PorchlightError("install.processor", `Porchlight does not run on ${name}`, {
    hint: "it runs on x64 and arm64",
  });
}
