import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { until } from "./until.ts";

/** What writes, what makes it last, and what tells others. */
const CALLS = "write,writev,pwrite64,pwritev,fdatasync,fsync,sendto,sendmsg";
export const STRACE = ["-f", "-y", "-ttt", "-qq", "-s", "4096", "-e", `trace=${CALLS}`];

export interface Call {
  /** The thread; of a process's first one it is the process. */
  readonly pid: number;
  /** Wall clock, ms since the epoch, when it began. */
  readonly atMs: number;
  readonly name: string;
  readonly text: string;
}

const LINE = /^(\d+) +(\d+\.\d+) (?:<\.\.\. )?(\w+)(.*)$/;

/** In the order in which they began; one that was interrupted by another's counts when it ended. */
export function readTrace(path: string): Call[] {
  const begun = new Map<string, string>();
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, pid = "", at = "", name = "", rest = ""] = LINE.exec(line) ?? [];
      if (name === "") return [];
      const call = { pid: Number(pid), atMs: Number(at) * 1_000, name };
      if (rest.endsWith("<unfinished ...>")) {
        begun.set(pid, rest);
        // What tells others may have been heard by then; what makes things last is not done yet.
        return tells(name, rest) ? [{ ...call, text: rest }] : [];
      }
      if (!rest.startsWith(" resumed>")) return [{ ...call, text: rest }];
      const start = begun.get(pid) ?? "";
      return tells(name, start) ? [] : [{ ...call, text: `${start}${rest}` }];
    });
}

/** Whether it goes over the network. */
function tells(name: string, text: string): boolean {
  return name.startsWith("send") || /^\(\d+<(socket|TCP)/.test(text);
}

/** Follows processes, and those that they start, until it is ended. */
export async function follow(
  pids: readonly number[],
  output: string,
): Promise<() => Promise<void>> {
  const each = pids.flatMap((pid) => ["-p", String(pid)]);
  const child = spawn("strace", [...STRACE, "-o", output, ...each], { stdio: "ignore" });
  const ended = once(child, "exit");
  const traced = (pid: number): boolean =>
    !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  await until("strace follows", () => existsSync(output) && pids.every(traced));
  return async () => {
    child.kill("SIGINT");
    await ended;
  };
}

/**
 * Where something was told while what had been written to `file` was not on the disk yet; `told`
 * knows the call that tells.
 */
export function toldTooEarly(
  calls: readonly Call[],
  file: RegExp,
  told: (call: Call) => boolean,
): Call[] {
  let open = false;
  return calls.filter((call) => {
    if (/^p?writev?(64)?$/.test(call.name) && file.test(call.text.split(">")[0] ?? "")) open = true;
    if (/^f(data)?sync$/.test(call.name) && file.test(call.text)) open = false;
    return told(call) && open;
  });
}
