import { z } from "zod";

/** SHA-256 in lowercase hex. */
export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lowercase hex digits");

/** A place in one log: the entry with this `seq`, known by its hash. `seq` 0 is before the first. */
export const cursorSchema = z.strictObject({
  hash: hashSchema,
  log: z.uuid(),
  seq: z.int().min(0),
});

export type Cursor = z.infer<typeof cursorSchema>;

/** The hash "before the first entry": 32 zero bytes. */
export const GENESIS_HASH = "0".repeat(64);

export function startOf(log: string): Cursor {
  return { log, seq: 0, hash: GENESIS_HASH };
}
