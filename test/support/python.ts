import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { needs, needsProgram } from "./needs.ts";

/** The SQLCipher 4 of another author, compiled into a Python package: a reader that is not ours. */
const PACKAGE = "sqlcipher3-binary==0.6.0";

/** Runs a script with the system's Python and nothing but its standard library. */
export function python(script: string, args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync("python3", ["-I", script, ...args], { encoding: "utf8" });
}

/** A Python that can `import sqlcipher3`, kept in the user's cache folder; null when not to be had. */
export function sqlcipherPython(): string | null {
  if (!needsProgram("python3", "python3")) return null;
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "porchlight-tests", "sqlcipher3");
  const program = join(folder, "bin", "python3");
  if (!canImport(program)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    spawnSync("python3", ["-m", "venv", folder]);
    spawnSync(program, ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", PACKAGE]);
  }
  const remedy = `python3 -m venv ${folder} && ${folder}/bin/pip install ${PACKAGE}`;
  return needs(canImport(program), "the Python package sqlcipher3", remedy) ? program : null;
}

function canImport(program: string): boolean {
  return existsSync(program) && spawnSync(program, ["-c", "import sqlcipher3"]).status === 0;
}
