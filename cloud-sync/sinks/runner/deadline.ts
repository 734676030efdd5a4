import { PorchlightError } from "../../../shared/core/errors.ts";

/** Aborts work that takes too long. (AbortSignal.any would keep a signal for every batch.) */
export async function withTimeout<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal.reason);
  const late = new PorchlightError("sink.store.slow", `no answer from the store within ${ms} ms`, {
    remedy: "retry",
    hint: "see the sinks and their last errors: porchlight-cloud sinks list",
  });
  const timer = setTimeout(() => stop.abort(late), ms);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    return await work(stop.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
