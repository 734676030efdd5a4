/** A mailbox for one value: who reads gets the newest, and what was not read in time is dropped. */
export interface Latest<T> extends AsyncIterable<T> {
  /** Puts a value; false when it replaced one that was never read. */
  put(value: T): boolean;
  /** No more values come; a waiting one is still delivered. */
  end(): void;
  /** Ends with an error, which the reader sees after the waiting value. */
  fail(error: unknown): void;
}

export function createLatest<T>(): Latest<T> {
  let waiting: { readonly value: T } | null = null;
  let closed: { readonly error: unknown } | null = null;
  let wake: (() => void) | null = null;
  const notify = (): void => {
    wake?.();
    wake = null;
  };
  return {
    put(value) {
      const unread = waiting !== null;
      waiting = { value };
      notify();
      return !unread;
    },
    end() {
      closed ??= { error: undefined };
      notify();
    },
    fail(error) {
      closed ??= { error };
      notify();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (waiting !== null) {
          const { value } = waiting;
          waiting = null;
          yield value;
        } else if (closed !== null) {
          if (closed.error !== undefined) throw closed.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    },
  };
}
