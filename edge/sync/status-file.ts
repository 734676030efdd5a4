import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { cursorSchema } from "../../shared/log/cursor.ts";
import { isDiskFull } from "../store/disk-full.ts";

/** What the agent says of itself, for `porchlight sync status`. On an installed device in /run. */
const agentStatusSchema = z.strictObject({
  state: z.enum(["connecting", "connected", "waiting", "stopped"]),
  /** When it said so: wall clock, ms since the epoch. */
  atMs: z.int(),
  /** Its process: a status whose process is gone is old. */
  pid: z.int(),
  /** What the centre has, and when it said so. */
  acked: cursorSchema,
  ackedAtMs: z.int().nullable(),
  inFlight: z.int(),
  /** Why nothing is sent any more until somebody has looked. */
  halted: z.string().nullable(),
  /** When the next connection is tried, and why it has to be. */
  retryAtMs: z.int().nullable(),
  reason: z.string().nullable(),
});
export type AgentStatus = z.infer<typeof agentStatusSchema>;

/** Written whole: whoever reads never sees half of it. On a full disk the last one stays. */
export function writeStatus(path: string, status: AgentStatus): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, `${JSON.stringify(status)}\n`, { mode: 0o640 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Null where no agent has ever run, or another version of it. */
export function readStatus(path: string): AgentStatus | null {
  if (!existsSync(path)) return null;
  try {
    return agentStatusSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}
