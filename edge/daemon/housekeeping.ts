/** Housekeeping of the daemon's store: budget, disk reserve, write volume. */
import { setImmediate as breathe } from "node:timers/promises";
import type { Clock } from "../../shared/core/clock.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { isDiskFull } from "../host/disk-full.ts";
import { RESERVE_BYTES } from "../sqlite/disk-reserve.ts";
import type { WriteVolume } from "../sqlite/write-volume.ts";
import type { Store } from "../store/open-store.ts";

export interface HousekeepingParts {
  readonly store: Pick<
    Store,
    "retention" | "reserve" | "pruneLive" | "media" | "erasing" | "catchUp"
  >;
  readonly buffer: () => DeviceConfig["buffer"];
  /** Of all sealed objects together. */
  readonly mediaMaxMiB: () => number;
  readonly writeVolume: WriteVolume;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
}

export interface Housekeeping {
  /** One round, with pauses for everything else. */
  round(signal: AbortSignal): Promise<void>;
  /** Whether there is room for what may be missing. */
  acceptsSheddable(): boolean;
  /** Metrics for telemetry. */
  metrics(): Record<string, number>;
}

/** Of 250 entries and some 30 ms each: a round is over in two seconds, and the next one comes soon. */
const STEPS_MAX = 50;
/** Frames wait meanwhile, and the next round is soon. */
const ERASING_WAIT_MS = 50;
const WARN_EVERY_MS = 86_400_000;
const HINT = "make room on it, or lower buffer.maxMiB: porchlight status";
const MIB = 1024 * 1024;

export function createHousekeeping(parts: HousekeepingParts): Housekeeping {
  const { store, writeVolume } = parts;
  const { retention, reserve } = store;
  // On a disk that is full, pages that are free in log.db are all the room there is.
  const wantedFreeBytes = (): number => (reserve.full() ? RESERVE_BYTES : 0);
  const warnDaily = createDailyWarning(parts);
  const watchDisk = createDiskWatch(parts);
  return {
    async round(signal) {
      watchDisk();
      watchWriteVolume(parts, warnDaily);
      try {
        store.pruneLive();
        finishErasing(store, warnDaily);
        await shed(parts, wantedFreeBytes, warnDaily, signal);
        await shedMedia(parts, warnDaily, signal);
      } catch (error) {
        // Logged above, or by the next round.
        if (!isDiskFull(error)) throw error;
      }
    },
    acceptsSheddable: () => retention.use().freeBytes >= wantedFreeBytes(),
    metrics() {
      const { usedBytes, freeBytes } = retention.use();
      const written = writeVolume.writtenBytes();
      const perDay = writeVolume.bytesPerDay();
      return {
        bufferUsedBytes: usedBytes,
        bufferFreeBytes: freeBytes,
        mediaBytes: store.media.bytes(),
        diskFull: reserve.full() ? 1 : 0,
        ...(written !== null && { storeWrittenBytes: written }),
        ...(perDay !== null && { storeWrittenBytesPerDay: Math.round(perDay) }),
      };
    },
  };
}

type Warn = Logger["warn"];

function createDailyWarning({ clock, logger }: HousekeepingParts): Warn {
  const warned = new Map<string, number>();
  return (message, fields) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - (warned.get(message) ?? Number.NEGATIVE_INFINITY) < WARN_EVERY_MS) return;
    warned.set(message, nowMs);
    logger.warn(message, fields);
  };
}

function createDiskWatch({ store: { reserve }, logger }: HousekeepingParts): () => void {
  let full = false;
  return () => {
    reserve.restore();
    if (reserve.full() === full) return;
    full = reserve.full();
    if (!full) logger.info("disk space recovered");
    else
      logger.warn("disk full: telemetry paused, presses and visits use the reserve", {
        hint: HINT,
      });
  };
}

function watchWriteVolume({ writeVolume, buffer }: HousekeepingParts, warnDaily: Warn): void {
  const perDay = writeVolume.bytesPerDay();
  const budgetMiB = buffer().writtenMiBPerDay;
  if (perDay === null || perDay <= budgetMiB * MIB) return;
  const writtenMiBPerDay = Math.round(perDay / MIB);
  const hint = "raise telemetry.intervalS, or buffer.writtenMiBPerDay if the disk bears it";
  warnDaily("disk write volume over budget", { writtenMiBPerDay, budgetMiB, hint });
}

/** What the vault could not follow on a full disk may be an erasure too. */
function finishErasing(
  { catchUp, erasing }: Pick<Store, "catchUp" | "erasing">,
  warnDaily: Warn,
): void {
  catchUp();
  if (erasing.finish(ERASING_WAIT_MS)) return;
  const hint = "see who reads the store: fuser -v DATA/vault/vault.db DATA/log/log.db";
  warnDaily("erasure not finished", { left: erasing.pending().length, hint });
}

async function shed(
  { store: { retention }, buffer }: HousekeepingParts,
  wantedFreeBytes: () => number,
  warnDaily: Warn,
  signal: AbortSignal,
): Promise<void> {
  const { writtenMiBPerDay: _, ...policy } = buffer();
  const done = await inSteps(() => retention.step(policy, wantedFreeBytes()), signal);
  if (done !== "over") return;
  const usedMiB = Math.round(retention.use().usedBytes / MIB);
  const hint = "raise buffer.maxMiB, or free the disk: porchlight status";
  warnDaily("log over budget: nothing left to shed", { usedMiB, hint });
}

async function shedMedia(
  { store: { media, retention }, buffer, mediaMaxMiB }: HousekeepingParts,
  warnDaily: Warn,
  signal: AbortSignal,
): Promise<void> {
  const { writtenMiBPerDay: _, ...policy } = buffer();
  const maxMiB = mediaMaxMiB();
  // Media alone, and whatever room there is in log.db: it is their files that are too many.
  const only = { ...policy, shed: policy.shed.filter((name) => name === "media") };
  const done = await inSteps(
    () =>
      media.bytes() <= maxMiB * MIB ? "within" : retention.step(only, Number.POSITIVE_INFINITY),
    signal,
  );
  if (done !== "over") return;
  const hint = "let media be shed (buffer.shed), or raise media.maxMiB";
  warnDaily("snapshots over budget", { maxMiB, hint });
}

type Step = ReturnType<Store["retention"]["step"]>;

async function inSteps(step: () => Step, signal: AbortSignal): Promise<Step> {
  let done: Step = "shed";
  for (let i = 0; i < STEPS_MAX && done === "shed" && !signal.aborted; i++) {
    done = step();
    if (done === "shed") await breathe();
  }
  return done;
}
