import { setTimeout as sleep } from "node:timers/promises";

/** Waits until it holds, and fails after so many milliseconds: long, for a busy machine passes too. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await holds()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms in vain until ${what}`);
  }
}
