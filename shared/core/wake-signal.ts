/** A wake signal: wakes a waiting loop when something has arrived, or a task has ended. */
export interface WakeSignal {
  notify(): void;
  /** Hears every notification from here on, also one that comes before `wait`. */
  subscribe(): Listener;
}

export interface Listener {
  /**
   * Until it is notified, the time (ms) is over, or the signal is aborted; returns whether it was
   * notified.
   */
  wait(ms: number, signal: AbortSignal): Promise<boolean>;
}

/** setTimeout takes no more: 2³¹ − 1 ms. */
const LONGEST_MS = 2_147_483_647;

export function createWakeSignal(): WakeSignal {
  let rang = 0;
  const listeners = new Set<() => void>();
  return {
    notify() {
      rang++;
      for (const wake of [...listeners]) wake();
    },
    subscribe() {
      const before = rang;
      return {
        async wait(ms, signal) {
          if (rang !== before || signal.aborted) return rang !== before;
          await new Promise<void>((resolve) => {
            const done = (): void => {
              clearTimeout(timer);
              listeners.delete(done);
              signal.removeEventListener("abort", done);
              resolve();
            };
            const timer = setTimeout(done, Math.min(Math.max(ms, 0), LONGEST_MS));
            listeners.add(done);
            signal.addEventListener("abort", done, { once: true });
          });
          return rang !== before;
        },
      };
    },
  };
}
