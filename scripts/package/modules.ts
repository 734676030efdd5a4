/** node_modules of a processor, whichever this machine has: npm installs it, and runs no script. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Arch } from "../../edge/install/modules.ts";
import { run } from "../run-program.ts";

const INPUTS = ["package.json", "package-lock.json", ".npmrc"];

/** Gives the folder that holds node_modules; made once for each lock file. */
export function modulesFor(root: string, cache: string, arch: Arch): string {
  const hash = createHash("sha256");
  for (const input of INPUTS) hash.update(readFileSync(join(root, input)));
  const folder = join(cache, `modules-${arch}-${hash.digest("hex").slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  for (const input of INPUTS) cpSync(join(root, input), join(unfinished, input));
  const platform = [`--cpu=${arch}`, "--os=linux", "--libc=glibc"];
  run("npm", ["ci", ...platform, "--omit=dev", "--ignore-scripts"], { cwd: unfinished });
  renameSync(unfinished, folder);
  return folder;
}
