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
    "retention" | "reserve" | "pruneLive" | "media" | "crops" | "expiry" | "erasing" | "catchUp"
  >;
  readonly config: () => Pick<DeviceConfig, "buffer" | "media" | "retention">;
  readonly writeVolume: WriteVolume;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
}

type PictureClass = "media" | "crops";

export interface Housekeeping {
  /** One round, with pauses for everything else. */
  round(signal: AbortSignal): Promise<void>;
  /** Whether there is room for what may be missing. */
  acceptsSheddable(): boolean;
  /** And whether pictures of this class are within their budget, or can be made to be. */
  acceptsPictures(name: PictureClass): boolean;
  /** Metrics for telemetry. */
  metrics(): Record<string, number>;
}

/** Of 250 entries and some 30 ms each: a round is over in two seconds, and the next one comes soon. */
const STEPS_MAX = 50;
/** Frames wait meanwhile, and the next round is soon. */
const ERASING_WAIT_MS = 50;
const WARN_EVERY_MS = 86_400_000;
/** A warning comes before anything is lost. */
const NEARLY = 0.85;
const EXPIRE_EVERY_MS = 3_600_000;
const EXPIRY_STEPS_MAX = 20;
const RAISE = "raise buffer.maxMiB, or free the disk: porchlight status";
const HINT = "make room on it, or lower buffer.maxMiB: porchlight status";
const MIB = 1024 * 1024;

export function createHousekeeping(parts: HousekeepingParts): Housekeeping {
  const { store, writeVolume } = parts;
  const { retention, reserve } = store;
  // On a disk that is full, pages that are free in log.db are all the room there is.
  const wantedFreeBytes = (): number => (reserve.full() ? RESERVE_BYTES : 0);
  const warnDaily = createDailyWarning(parts);
  const watchDisk = createDiskWatch(parts);
  const overBudget = new Set<PictureClass>();
  const acceptsSheddable = () => retention.use().freeBytes >= wantedFreeBytes();
  const expire = createExpiring(parts);
  return {
    async round(signal) {
      watchDisk();
      watchWriteVolume(parts, warnDaily);
      try {
        store.pruneLive();
        finishErasing(store, warnDaily);
        await expire(signal);
        await shed(parts, wantedFreeBytes(), warnDaily, signal);
        for (const name of ["media", "crops"] as const) {
          const isOver = await shedPictures(parts, name, warnDaily, signal);
          overBudget[isOver ? "add" : "delete"](name);
        }
      } catch (error) {
        // Logged above, or by the next round.
        if (!isDiskFull(error)) throw error;
      }
    },
    acceptsSheddable,
    acceptsPictures: (name) => acceptsSheddable() && !overBudget.has(name),
    metrics() {
      const { usedBytes, freeBytes } = retention.use();
      const written = writeVolume.writtenBytes();
      const perDay = writeVolume.bytesPerDay();
      return {
        bufferUsedBytes: usedBytes,
        bufferFreeBytes: freeBytes,
        mediaBytes: store.media.bytes(),
        cropBytes: store.crops.bytes().visits,
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

function watchWriteVolume({ writeVolume, config }: HousekeepingParts, warnDaily: Warn): void {
  const perDay = writeVolume.bytesPerDay();
  const budgetMiB = config().buffer.writtenMiBPerDay;
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

/** Pictures that are too old: looked for once an hour, for days pass slowly. */
function createExpiring({ store, config, clock, logger }: HousekeepingParts) {
  let doneMs = Number.NEGATIVE_INFINITY;
  return async (signal: AbortSignal): Promise<void> => {
    if (clock.monotonicMs() - doneMs < EXPIRE_EVERY_MS) return;
    const policy = config().retention;
    for (let i = 0; i < EXPIRY_STEPS_MAX && !signal.aborted; i++) {
      const visits = store.expiry.step(policy);
      if (visits === 0) {
        doneMs = clock.monotonicMs();
        return;
      }
      logger.info("pictures expired: their keys are destroyed", { visits });
      await breathe();
    }
  };
}

async function shed(
  { store: { retention }, config }: HousekeepingParts,
  wantedFreeBytes: number,
  warnDaily: Warn,
  signal: AbortSignal,
): Promise<void> {
  const policy = config().buffer;
  const { maxMiB } = policy;
  const usedMiB = (): number => Math.round(retention.use().usedBytes / MIB);
  if (usedMiB() > maxMiB * NEARLY) {
    warnDaily("log near its budget: the oldest will be shed", {
      usedMiB: usedMiB(),
      maxMiB,
      hint: RAISE,
    });
  }
  // On a disk that is full there is no floor: presses need the room.
  const least = wantedFreeBytes > 0 ? { ...policy, minHours: 0 } : policy;
  const done = await inSteps(() => retention.step(least, wantedFreeBytes), signal);
  if (done !== "over") return;
  warnDaily("log over budget: nothing left to shed", { usedMiB: usedMiB(), hint: RAISE });
}

/**
 * Pictures of one class, whatever room there is in log.db: it is their files that are too many. Whether
 * there are too many still, none of which may go.
 */
async function shedPictures(
  { store, config }: HousekeepingParts,
  name: PictureClass,
  warnDaily: Warn,
  signal: AbortSignal,
): Promise<boolean> {
  const { buffer, media } = config();
  const [bytes, maxMiB, setting] =
    name === "media"
      ? [store.media.bytes, media.maxMiB, "media.maxMiB"]
      : [() => store.crops.bytes().visits, media.cropsMaxMiB, "media.cropsMaxMiB"];
  const what = name === "media" ? "snapshots" : "crops";
  const hint = `let ${name} be shed (buffer.shed), raise ${setting}, or lower retention`;
  if (bytes() > maxMiB * MIB * NEARLY) {
    const usedMiB = Math.round(bytes() / MIB);
    warnDaily(`${what} near their budget: the oldest will be shed`, { usedMiB, maxMiB, hint });
  }
  const only = { ...buffer, shed: buffer.shed.filter((each) => each === name) };
  const step = (): Step =>
    bytes() <= maxMiB * MIB ? "within" : store.retention.step(only, Number.POSITIVE_INFINITY);
  const isOver = (await inSteps(step, signal)) === "over";
  if (isOver) warnDaily(`${what} over budget: none are taken`, { maxMiB, hint });
  return isOver;
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
