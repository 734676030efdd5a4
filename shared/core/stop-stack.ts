/** What was started, to be stopped in the reverse order: at the end, and where a start fails. */
import { messageOf } from "./errors.ts";
import type { Logger } from "./logger.ts";

export interface StopStack {
  /** `stop` must be safe where the start has failed. */
  push(name: string, stop: () => Promise<void> | void): void;
  /** Stops everything; one that fails keeps no other from being stopped. Safe to call twice. */
  unwind(): Promise<void>;
}

export function createStopStack(logger: Logger): StopStack {
  const started: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  return {
    push: (name, stop) => void started.push({ name, stop }),
    async unwind() {
      for (let last = started.pop(); last !== undefined; last = started.pop()) {
        const { name, stop } = last;
        try {
          await stop();
        } catch (error) {
          logger.error("stop failed", { part: name, reason: messageOf(error) });
        }
      }
    },
  };
}
