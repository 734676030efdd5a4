import { readFileSync } from "node:fs";
import { systemCodeOf } from "../../shared/core/errors.ts";

/** proc_pid_stat(5): ticks of 10 ms on every Linux that Node runs on. */
const TICK_MS = 10;

/** Processor time of a process so far, ms. */
export function cpuMs(pid: number): number {
  const fields = fieldsOf(pid);
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Processor time so far of a process and of all that it has started, ended or not, ms. */
export function cpuOfTreeMs(pid: number): number {
  try {
    const ticks = fieldsOf(pid).slice(11, 15).map(Number);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    const ofOthers = children.filter(Boolean).map((child) => cpuOfTreeMs(Number(child)));
    return [...ticks.map((each) => each * TICK_MS), ...ofOthers].reduce(
      (sum, each) => sum + each,
      0,
    );
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ESRCH") return 0;
    throw error;
  }
}

function fieldsOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The most memory it had at once, MiB. */
export function peakMiB(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}
