import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { needs, needsProgram } from "./needs.ts";

export const DEBIAN_ARCH = process.arch === "arm64" ? "arm64" : "amd64";

export function needsPackaging(): boolean {
  return (
    needs(existsSync(".git"), "the date of the commit", "run the tests in a clone") &&
    needsProgram("dpkg-deb", "dpkg")
  );
}

/** Runs scripts/package.ts; gives the files it made. */
export function makePackages(folder: string, ...options: string[]): string[] {
  const args = ["scripts/package.ts", "--out", folder, ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`scripts/package.ts: ${stderr}`);
  return [...stdout.matchAll(/^(\S+\.deb) /gm)].map(([, file]) => file ?? "");
}

/** Packages for this machine, quickly: not compressed. */
export function packagesOf(folder: string, version: string): { door: string; centre: string } {
  makePackages(folder, "--arch", DEBIAN_ARCH, "--version", version, "--compression", "none");
  const file = (name: string): string => join(folder, `${name}_${version}_${DEBIAN_ARCH}.deb`);
  return { door: file("porchlight"), centre: file("porchlight-cloud") };
}

/**
 * Installs packages into a root folder that is not booted; its boot starts what they bring. A
 * configuration that is there stays, without a question.
 */
export function installInto(root: string, ...files: string[]): void {
  const options = [`--root=${root}`, "--force-confold", "--install"];
  const { status, stderr } = spawnSync("dpkg", [...options, ...files], { encoding: "utf8" });
  if (status !== 0) throw new Error(`dpkg: ${stderr}`);
}
