/** What the daemon does now and then for its store: budget, reserve, wear. */
import { setImmediate as breathe } from "node:timers/promises";
import type { Clock } from "../shared/clock.ts";
import type { Logger } from "../shared/logger.ts";
import type { DeviceConfig } from "./config.ts";
import type { Store } from "./open-store.ts";
import { isDiskFull } from "./store/disk-full.ts";
import { RESERVE_BYTES } from "./store/reserve.ts";
import type { Wear } from "./store/wear.ts";

export interface UpkeepParts {
  readonly store: Pick<Store, "retention" | "reserve" | "pruneLive">;
  readonly buffer: () => DeviceConfig["buffer"];
  readonly wear: Wear;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
}

export interface Upkeep {
  /** One round, with pauses for everything else. */
  round(signal: AbortSignal): Promise<void>;
  /** Whether there is room for what may be missing. */
  takesTelemetry(): boolean;
  /** Figures for telemetry. */
  metrics(): Record<string, number>;
}

/** Of 250 entries and some 30 ms each: a round is over in two seconds, and the next one comes soon. */
const STEPS_MAX = 50;
const WARN_EVERY_MS = 86_400_000;
const HINT = "make room on it, or lower buffer.maxMiB: porchlight status";
const MIB = 1024 * 1024;

export function createUpkeep({ store, buffer, wear, clock, logger }: UpkeepParts): Upkeep {
  const { retention, reserve } = store;
  let full = false;
  // On a disk that is full, pages that are free in log.db are all the room there is.
  const wantedFreeBytes = (): number => (reserve.full() ? RESERVE_BYTES : 0);
  const warned = new Map<string, number>();
  const warnDaily = (message: string, fields: Parameters<Logger["warn"]>[1]): void => {
    const nowMs = clock.monotonicMs();
    if (nowMs - (warned.get(message) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS) return;
    warned.set(message, nowMs);
    logger.warn(message, fields);
  };
  const shed = async (signal: AbortSignal): Promise<void> => {
    const { wearMiBPerDay: _, ...policy } = buffer();
    for (let step = 0; step < STEPS_MAX && !signal.aborted; step++) {
      const done = retention.step(policy, wantedFreeBytes());
      if (done === "over") {
        const usedMiB = Math.round(retention.use().usedBytes / MIB);
        const hint = "raise buffer.maxMiB, or free the disk: porchlight status";
        warnDaily("the log is over its budget, and nothing is left that may go", { usedMiB, hint });
      }
      if (done !== "shed") return;
      await breathe();
    }
  };
  const watchWear = (): void => {
    const perDay = wear.bytesPerDay();
    const budgetMiB = buffer().wearMiBPerDay;
    if (perDay === null || perDay <= budgetMiB * MIB) return;
    const writtenMiBPerDay = Math.round(perDay / MIB);
    const hint = "raise telemetry.intervalS, or buffer.wearMiBPerDay if the disk bears it";
    warnDaily("more is written to the disk than its budget", { writtenMiBPerDay, budgetMiB, hint });
  };
  const watchDisk = (): void => {
    reserve.restore();
    if (reserve.full() === full) return;
    full = reserve.full();
    if (!full) logger.info("the disk has room again");
    else
      logger.warn("the disk is full: telemetry waits, presses and visits use the reserve", {
        hint: HINT,
      });
  };
  return {
    async round(signal) {
      watchDisk();
      watchWear();
      try {
        store.pruneLive();
        await shed(signal);
      } catch (error) {
        // Said above, or by the next round.
        if (!isDiskFull(error)) throw error;
      }
    },
    takesTelemetry: () => retention.use().freeBytes >= wantedFreeBytes(),
    metrics() {
      const { usedBytes, freeBytes } = retention.use();
      const written = wear.writtenBytes();
      const perDay = wear.bytesPerDay();
      return {
        bufferUsedBytes: usedBytes,
        bufferFreeBytes: freeBytes,
        diskFull: reserve.full() ? 1 : 0,
        ...(written !== null && { storeWrittenBytes: written }),
        ...(perDay !== null && { storeWrittenBytesPerDay: Math.round(perDay) }),
      };
    },
  };
}
