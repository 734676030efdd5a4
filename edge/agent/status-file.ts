import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { replaceFile } from "../host/atomic-file.ts";
import { isDiskFull } from "../host/disk-full.ts";
import { type AgentStatus, agentStatusSchema } from "../sync/status.ts";

const STATUS_BYTES_MAX = 16 * 1024;

/** Written whole: a reader never sees half of it. On a full disk the last one stays. */
export function writeStatus(path: string, status: AgentStatus): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    replaceFile(path, `${JSON.stringify(status)}\n`, { mode: 0o640 });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Null where no agent has ever run, or another version of it. */
export function readStatus(path: string): AgentStatus | null {
  if (!existsSync(path)) return null;
  try {
    // The agent may have been taken over: whatever lies there is a stranger's.
    if (statSync(path).size > STATUS_BYTES_MAX) return null;
    return agentStatusSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}
