import { z } from "zod";
import { cursorSchema } from "../../shared/log/cursor.ts";

/** What the agent says of itself, for `porchlight sync status`. On an installed device in /run. */
export const agentStatusSchema = z.strictObject({
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
