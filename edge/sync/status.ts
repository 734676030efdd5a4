import { z } from "zod";
import { cursorSchema } from "../../shared/log/cursor.ts";

/** The agent's status, for `porchlight sync status`. On an installed device in /run. */
export const agentStatusSchema = z.strictObject({
  state: z.enum(["connecting", "connected", "waiting", "stopped"]),
  /** When it was written: wall clock, ms since the epoch. */
  atMs: z.int(),
  /** Its process: a status whose process is gone is old. */
  pid: z.int(),
  /** The acknowledged cursor, and when it was acknowledged. */
  acked: cursorSchema,
  ackedAtMs: z.int().nullable(),
  inFlight: z.int(),
  /** Why sync is halted, until an operator resolves it. */
  halted: z.string().nullable(),
  /** When the next connection is tried, and why it has to be. */
  retryAtMs: z.int().nullable(),
  reason: z.string().nullable(),
});
export type AgentStatus = z.infer<typeof agentStatusSchema>;
