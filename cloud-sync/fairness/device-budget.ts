/**
 * The budget of each device: asked where its messages come in, before anything of them is parsed,
 * and where its log is committed. Whoever goes over waits; nobody else does.
 */
import { type Bucket, createBucket } from "../../shared/core/token-bucket.ts";
import type { Topic } from "../../shared/protocol/wire.ts";
import {
  ALONE_FACTOR,
  ALONE_MS,
  LOG_BURST_BYTES,
  LOG_SHARE_S,
  MESSAGE_LIMITS,
  NONSENSE_BYTES,
  NONSENSE_MAX,
  REMEMBERED_MAX,
} from "./limits.ts";
import { createRecentMap } from "./recent-map.ts";

/** What ingest asks of it. */
export interface LogBudget {
  /** What goes into one group commit of a device, unless one batch of it is larger. */
  shareBytes(device: string): number;
  /** Ms until a batch of this device may be committed; 0 now. */
  waitMs(device: string): number;
  /** A batch of so many bytes, unpacked, is committed. */
  charge(device: string, bytes: number): void;
  /** A batch was appended, or was here already. */
  sensible(device: string): void;
  /** A batch could not be decoded, or was refused: its device waits, alone or not. */
  chargeNonsense(device: string): void;
  /** Such a batch is kept; true when the device has sent too many in a row. */
  nonsense(device: string): boolean;
}

export interface DeviceBudget {
  readonly log: LogBudget;
  /** "long" for a message that nobody reads; else how long its device is to wait after it, ms. */
  charge(topic: Topic, bytes: number): number | "long";
  /** True, and charged, where a message is within its device's budget: nobody can be made to wait. */
  admits(topic: Topic, bytes: number): boolean;
  stats(): BudgetStats;
}

export interface BudgetStats {
  /** Messages whose device had to wait. */
  readonly delayed: number;
  /** Messages that were dropped: too long, or over the budget where no connection can be held. */
  readonly dropped: number;
  /** Sessions that were ended for nonsense. */
  readonly nonsense: number;
}

export interface DeviceBudgetOptions {
  /** Of its log, unpacked, once LOG_BURST_BYTES are used up. */
  readonly logBytesPerSecond: number;
  readonly monotonicMs: () => number;
}

export function createDeviceBudget(options: DeviceBudgetOptions): DeviceBudget {
  const { logBytesPerSecond, monotonicMs } = options;
  const messages = createRecentMap<Bucket>(REMEMBERED_MAX);
  const logs = createRecentMap<Bucket>(REMEMBERED_MAX);
  const nonsense = createRecentMap<number>(REMEMBERED_MAX);
  const stats = { delayed: 0, dropped: 0, nonsense: 0 };
  /** Whose batch was committed last, and when: one of it, and one of any other device. */
  let last = { device: "", atMs: Number.NEGATIVE_INFINITY, othersAtMs: Number.NEGATIVE_INFINITY };
  const alone = (device: string): boolean =>
    monotonicMs() - (device === last.device ? last.othersAtMs : last.atMs) > ALONE_MS;
  const logOf = (device: string): Bucket =>
    logs.get(device, () =>
      createBucket({ burst: LOG_BURST_BYTES, perMs: logBytesPerSecond / 1_000, monotonicMs }),
    );
  const bucketOf = ({ device, channel }: Topic): { bucket: Bucket; bytesMax: number } | null => {
    const limit = MESSAGE_LIMITS[channel];
    if (limit === undefined) return null;
    const { burst, perSecond, bytesMax } = limit;
    const bucket = messages.get(`${device}/${channel}`, () =>
      createBucket({ burst, perMs: perSecond / 1_000, monotonicMs }),
    );
    return { bucket, bytesMax };
  };
  return {
    log: {
      shareBytes: (device) => logBytesPerSecond * LOG_SHARE_S * (alone(device) ? ALONE_FACTOR : 1),
      waitMs: (device) => logOf(device).waitMs(),
      charge(device, bytes) {
        logOf(device).charge(alone(device) ? bytes / ALONE_FACTOR : bytes);
        if (device !== last.device) last = { device, atMs: monotonicMs(), othersAtMs: last.atMs };
        else last = { ...last, atMs: monotonicMs() };
      },
      chargeNonsense: (device) => logOf(device).charge(NONSENSE_BYTES),
      sensible: (device) => nonsense.delete(device),
      nonsense(device) {
        const count = nonsense.get(device, () => 0) + 1;
        nonsense.set(device, count);
        if (count < NONSENSE_MAX) return false;
        nonsense.delete(device);
        stats.nonsense++;
        return true;
      },
    },
    charge(topic, bytes) {
      const limited = bucketOf(topic);
      if (limited === null || bytes > limited.bytesMax) {
        stats.dropped++;
        return "long";
      }
      limited.bucket.charge(1);
      const waitMs = limited.bucket.waitMs();
      if (waitMs > 0) stats.delayed++;
      return waitMs;
    },
    admits(topic, bytes) {
      const limited = bucketOf(topic);
      if (limited !== null && bytes <= limited.bytesMax && limited.bucket.take()) return true;
      stats.dropped++;
      return false;
    },
    stats: () => ({ ...stats }),
  };
}
