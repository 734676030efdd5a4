/** Time as a program may know it. Passed in, so that tests can hold it still. */
export interface Clock {
  /** Wall clock, ms since the epoch. May be wrong: a doorbell has no battery clock. */
  now(): number;
  /** CLOCK_MONOTONIC, ms since the machine started. Never goes back, survives a process restart. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs() {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + Math.floor(nanoseconds / 1e6);
  },
};
