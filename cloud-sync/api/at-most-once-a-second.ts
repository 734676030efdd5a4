/** Work that strangers ask for: done once at a time, and its result kept for a second. */
const KEPT_MS = 1_000;

export function atMostOnceASecond<T>(
  work: () => Promise<T>,
  monotonicMs: () => number = () => performance.now(),
): () => Promise<T> {
  let last: { readonly result: Promise<T>; readonly untilMs: () => number } | undefined;
  return () => {
    if (last !== undefined && monotonicMs() < last.untilMs()) return last.result;
    let untilMs = Number.POSITIVE_INFINITY;
    const result = work().finally(() => {
      untilMs = monotonicMs() + KEPT_MS;
    });
    last = { result, untilMs: () => untilMs };
    return result;
  };
}
