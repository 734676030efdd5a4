import { z } from "zod";

/** The agent has the network: its words are cut, and shown without control characters. */
const TEXT_MAX = 1_000;

/** The agent's status, for `porchlight sync status`. On an installed device in /run. */
export const agentStatusSchema = z.strictObject({
  state: z.enum(["connecting", "connected", "waiting", "stopped"]),
  /** When it was written: wall clock, ms since the epoch. */
  atMs: z.int(),
  /** Its process: a status whose process is gone is old. */
  pid: z.int(),
  /** Entries that are not acknowledged, as the daemon has said; null before it has. */
  lag: z.int().nullable(),
  inFlight: z.int(),
  /** Why sync is halted, until an operator resolves it. */
  halted: z.string().max(TEXT_MAX).nullable(),
  /** When the next connection is tried, and why it has to be. */
  retryAtMs: z.int().nullable(),
  reason: z.string().max(TEXT_MAX).nullable(),
});
export type AgentStatus = z.infer<typeof agentStatusSchema>;
