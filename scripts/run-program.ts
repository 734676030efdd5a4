import { spawnSync } from "node:child_process";
import { join } from "node:path";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end, and gives what it wrote; throws what it complained about. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): string {
  const env = { ...process.env, ...options.env };
  const done = spawnSync(program, args, { ...options, env, encoding: "utf8", maxBuffer: 2 ** 26 });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0) throw new Error(`${program}: ${done.stderr.slice(-2_000)}`);
  return done.stdout;
}

/** Modules and build cache of Go in a folder of their own, to be deleted with it. */
export function goIn(scratch: string): NodeJS.ProcessEnv {
  return {
    GOPATH: join(scratch, "path"),
    GOCACHE: join(scratch, "cache"),
    GOFLAGS: "-modcacherw",
    GOTOOLCHAIN: "local",
  };
}
