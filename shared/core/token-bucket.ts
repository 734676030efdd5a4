/** A token bucket: so much in a row, then a rate. */
export interface Bucket {
  /** Takes one, if there is one. */
  take(): boolean;
  /** Takes as many, also more than there are: what is missing has to come first. */
  charge(amount: number): void;
  /** Ms until there is something again; 0 now. */
  waitMs(): number;
}

export interface BucketOptions {
  readonly burst: number;
  readonly perMs: number;
  readonly monotonicMs: () => number;
}

export function createBucket({ burst, perMs, monotonicMs }: BucketOptions): Bucket {
  let left = burst;
  let atMs = monotonicMs();
  const refill = (): void => {
    const now = monotonicMs();
    left = Math.min(burst, left + (now - atMs) * perMs);
    atMs = now;
  };
  return {
    take() {
      refill();
      if (left < 1) return false;
      left--;
      return true;
    },
    charge(amount) {
      refill();
      left -= amount;
    },
    waitMs() {
      refill();
      return left >= 0 ? 0 : Math.ceil(-left / perMs);
    },
  };
}
