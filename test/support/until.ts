import { setTimeout as sleep } from "node:timers/promises";

/** Waits until something holds, and fails when it does not come to hold. */
export async function until(what: string, holds: () => boolean, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}
