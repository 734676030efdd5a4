import { existsSync } from "node:fs";

/**
 * Whether a test can run here; when not, says aloud what is missing and how to get it.
 * Under CI=true the runner counts such a skip as a failure.
 */
export function needs(present: boolean, what: string, remedy: string): boolean {
  if (!present) process.stdout.write(`\nskipped: ${what} is not here; ${remedy}\n`);
  return present;
}

/** A program of a Debian package, found on PATH. */
export function needsProgram(program: string, debianPackage: string): boolean {
  const found = (process.env["PATH"] ?? "")
    .split(":")
    .some((dir) => existsSync(`${dir}/${program}`));
  return needs(found, program, `apt-get install ${debianPackage}`);
}
