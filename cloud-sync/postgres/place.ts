/**
 * The folder of a server, as its processes see it. Started by root, they run as another user, who
 * may not be able to enter the folders above (/root, a home): then root opens the folder for them,
 * and they know it as /proc/self/fd/3, a link of the kernel for which only the folder itself counts.
 * They keep that descriptor as long as they live, in every process that they fork.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "./account.ts";

const FOLDER_FD = 3;
const OUTPUT_BYTES_MAX = 4_096;

export interface Place {
  readonly folder: string;
  /** The path of `name` in it, for the server's programs. */
  seen(name: string): string;
  /** Starts a program in it, which writes to the descriptor `output`. */
  spawn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess;
  /** Runs a program to its end: null, or what it complained about. */
  run(program: string, args: readonly string[]): Promise<string | null>;
}

interface SpawnOptions {
  readonly output: number | "pipe";
  /** In a session of its own. */
  readonly detached?: boolean;
}

export function createPlace(
  folder: string,
  account: Account | null,
  librariesOf: (seen: Place["seen"]) => Readonly<Record<string, string>>,
): Place {
  const seenFolder = account === null ? folder : `/proc/self/fd/${FOLDER_FD}`;
  const seen = (name: string): string => join(seenFolder, name);
  const env = { ...librariesOf(seen), LC_ALL: "C", TZ: "UTC" };
  const start: Place["spawn"] = (program, args, { output, detached = false }) => {
    const handle = openSync(folder, "r");
    try {
      return spawn(program, args, {
        ...account,
        cwd: folder,
        env,
        detached,
        stdio: ["ignore", output, output, handle],
      });
    } finally {
      closeSync(handle);
    }
  };
  return {
    folder,
    seen,
    spawn: start,
    run(program, args) {
      const child = start(program, args, { output: "pipe" });
      let output = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        output = `${output}${text}`.slice(-OUTPUT_BYTES_MAX);
      });
      child.stdout?.resume();
      return new Promise((done) => {
        child.once("error", (error) => done(error.message));
        child.once("close", (code) => done(code === 0 ? null : output || `${program}: ${code}`));
      });
    },
  };
}
