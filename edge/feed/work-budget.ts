import { type Bucket, createBucket } from "../../shared/core/token-bucket.ts";

/** A backlog of 30 days goes out within it; a neighbour that asks for ever gets the share. */
const BURST_MS = 20_000;
/** Of one core. */
const SHARE = 0.5;

/** How much of a core the feed may take, in ms of work: a burst, then a share. What is over it waits. */
export function createWorkBudget(monotonicMs: () => number): Pick<Bucket, "charge" | "waitMs"> {
  return createBucket({ burst: BURST_MS, perMs: SHARE, monotonicMs });
}
