import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Other programs that do the same, installed for a bench alone, in the user's cache folder: nothing
 * of ours depends on them. Null, after a note, when they cannot be had.
 */
function peerFolder(name: string): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(cache, "porchlight-benches", name);
}

function missing(what: string, remedy: string): null {
  process.stderr.write(`note: ${what} is not here, so it was not measured; ${remedy}\n`);
  return null;
}

/** A Python with this release of opencv-python-headless. */
export function opencvPython(version: string): string | null {
  const folder = peerFolder(`opencv-${version}`);
  const program = join(folder, "bin", "python3");
  const works = (): boolean =>
    existsSync(program) && spawnSync(program, ["-c", "import cv2"]).status === 0;
  const release = `opencv-python-headless==${version}`;
  if (!works()) {
    rmSync(folder, { recursive: true, force: true });
    spawnSync("python3", ["-m", "venv", folder]);
    spawnSync(program, ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", release]);
  }
  return works() ? program : missing(release, "python3 -m pip has to reach a package index");
}

/** A folder whose node_modules hold these packages. */
export function npmPeers(name: string, packages: readonly string[]): string | null {
  const folder = peerFolder(name);
  const there = (): boolean =>
    packages.every((each) =>
      existsSync(join(folder, "node_modules", each.slice(0, each.lastIndexOf("@")))),
    );
  if (!there()) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save"];
    spawnSync("npm", [...args, "--prefix", folder, ...packages]);
  }
  return there() ? folder : missing(packages.join(", "), "npm has to reach a registry");
}
