/** Bounded request queue: what devices ask outside the log, limited in all and for each device. */
import { createWakeSignal } from "../../shared/core/wake-signal.ts";

export interface RequestQueueLimits {
  readonly max: number;
  /** Of one device, the one that is being answered included. */
  readonly ofOneMax: number;
}

export interface RequestQueue<T> {
  /** False when it is full: the device retries. */
  offer(device: string, request: T): boolean;
  /** Answers one after the other until the signal is aborted; several may do so at once. */
  serve(signal: AbortSignal, answer: (device: string, request: T) => Promise<void>): Promise<void>;
}

/** Longest wait for a wake signal before the queue is looked at anyway. */
const LOOK_EVERY_MS = 1_000;

export function createRequestQueue<T>({ max, ofOneMax }: RequestQueueLimits): RequestQueue<T> {
  const wake = createWakeSignal();
  const waiting: { readonly device: string; readonly request: T }[] = [];
  const ofOne = new Map<string, number>();
  const answered = (device: string): void => {
    const left = (ofOne.get(device) ?? 1) - 1;
    if (left === 0) ofOne.delete(device);
    else ofOne.set(device, left);
  };
  return {
    offer(device, request) {
      const own = ofOne.get(device) ?? 0;
      if (waiting.length >= max || own >= ofOneMax) return false;
      waiting.push({ device, request });
      ofOne.set(device, own + 1);
      wake.notify();
      return true;
    },
    async serve(signal, answer) {
      while (!signal.aborted) {
        const listener = wake.subscribe();
        const next = waiting.shift();
        if (next === undefined) {
          await listener.wait(LOOK_EVERY_MS, signal);
          continue;
        }
        await answer(next.device, next.request);
        answered(next.device);
      }
    },
  };
}
