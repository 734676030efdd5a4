/**
 * Keeps what is on its way to the broker so short that a press is not held up behind it: one
 * connection is one queue, and on a slow line a megabyte of backlog would be a minute of silence.
 */

import type { Clock } from "../../shared/core/clock.ts";
import { SEND_BYTES_MAX } from "../../shared/protocol/batch.ts";

export interface CongestionWindow {
  /** Batches that there is room for; 0 while enough is on its way. */
  free(): number;
  /** Bytes, not compressed, that each of them may hold. */
  bytes(): number;
  /** A batch is on its way; the function is called when the broker has taken it. */
  sent(): () => void;
}

/** The next batch is being packed while the broker takes the last one; more only waits in line. */
const ON_THEIR_WAY_MAX = 2;
/**
 * Time in line, beyond that of the way itself: with two of them, and 50 ms until a press is seen, it
 * is with the broker within 200 ms.
 */
const IN_LINE_MS = 60;
/** The largest batch is found by halves and small steps, as TCP finds its window. */
const STEP = 1.2;
/** An unknown line begins at what 2 Mbit/s take in time. */
const FIRST_BYTES = 64 * 1024;
/** Less is all header and round trip. An entry that is longer goes alone. */
const LEAST_BYTES = 8 * 1024;

export function createCongestionWindow(clock: Pick<Clock, "monotonicMs">): CongestionWindow {
  let bytes = FIRST_BYTES;
  let onTheirWay = 0;
  let fastestMs = Number.POSITIVE_INFINITY;
  return {
    free: () => Math.max(0, ON_THEIR_WAY_MAX - onTheirWay),
    bytes: () => Math.floor(bytes),
    sent() {
      onTheirWay++;
      const startedMs = clock.monotonicMs();
      return () => {
        onTheirWay--;
        const tookMs = clock.monotonicMs() - startedMs;
        fastestMs = Math.min(fastestMs, tookMs);
        const late = tookMs - fastestMs > IN_LINE_MS;
        bytes = late ? Math.max(LEAST_BYTES, bytes / 2) : Math.min(SEND_BYTES_MAX, bytes * STEP);
      };
    },
  };
}
