import type { Cursor } from "../../shared/log/cursor.ts";

/** All batches behind a lost one are answered by a nack each: the first of them is enough. */
const QUIET_MS = 2_000;
/** Rewinds in a row, and how long until there may be another: each costs a batch. */
const BURST = 5;
const EVERY_MS = 2_000;

/** Which nacks are followed: whoever says many small ones must not have megabytes sent for them. */
export class RewindLimit {
  #last: { readonly to: Cursor; readonly atMs: number } | null = null;
  #atMs: number[] = [];

  begin(): void {
    this.#last = null;
  }

  /** What is left out here the centre says again. */
  allows(to: Cursor, nowMs: number): boolean {
    const before = this.#last;
    const again = before?.to.log === to.log && before.to.seq === to.seq;
    if (again && nowMs - before.atMs < QUIET_MS) return false;
    this.#atMs = this.#atMs.filter((atMs) => nowMs - atMs < BURST * EVERY_MS);
    if (this.#atMs.length >= BURST) return false;
    this.#atMs.push(nowMs);
    this.#last = { to, atMs: nowMs };
    return true;
  }
}
