/** The daemon: builds the rooms from a configuration, runs the pipeline, and takes itself down. */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { openCamera } from "../camera/open-camera.ts";
import { visionOptions } from "../config/options.ts";
import { ownerSocketPath } from "../config/paths.ts";
import type { DeviceConfig } from "../config/schema.ts";
import type { Notifier } from "../host/sd-notify.ts";
import { createGroupCommit } from "../log/group-commit.ts";
import { storeVisitCrops, type VisitCrops } from "../media/crops.ts";
import { createSnapshots, type Snapshots } from "../media/snapshots.ts";
import { createTracker } from "../recognition/track.ts";
import { createVisitBudget } from "../recognition/visit-budget.ts";
import { createWriteVolume } from "../sqlite/write-volume.ts";
import { appendOrDrop } from "../store/append-or-drop.ts";
import type { Store } from "../store/open-store.ts";
import { createPatientAppend, type PatientAppend } from "../store/patient-append.ts";
import { mountOf } from "../vision/mounting.ts";
import { openVision } from "../vision/vision.ts";
import { announceStart } from "./announce-start.ts";
import { runBackgroundTasks } from "./background.ts";
import { createHousekeeping, type Housekeeping } from "./housekeeping.ts";
import { observe } from "./observer.ts";
import { openOwnerSocket } from "./owner-socket.ts";
import { type PipelineObserver, runPipeline } from "./pipeline.ts";
import { createSampler } from "./telemetry.ts";
import { createThresholdCheck, trackOptions } from "./tracking.ts";
import { startWatchdog } from "./watchdog.ts";

export interface DaemonParts {
  /** The configuration in force; SIGHUP may replace what can change while running. */
  readonly config: () => DeviceConfig;
  readonly store: Store;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly random: () => number;
  /** $PATH. */
  readonly path: string;
  readonly logger: Logger;
  readonly notifier: Notifier;
  readonly version: string;
  /** Names this boot of the machine: monotonic times of one boot can be compared. */
  readonly boot: string;
  /** One line of JSON for each event, without its newline. */
  readonly emit: (line: string) => void;
  /** Watches frames too: the demo and the tests do. */
  readonly watch?: PipelineObserver;
}

/** Telemetry may wait for company this long; a durable entry never does. */
const TELEMETRY_WAIT_MS = 1_000;
const TELEMETRY_GROUP = 100;
/** From the first file of an enrolment to its entries, on a slow machine. */
const ENROLMENT_MS_MAX = 600_000;
/** Runs until the camera ends or the signal is aborted. */
export async function runDaemon(given: DaemonParts, signal: AbortSignal): Promise<void> {
  // A store in trouble does not stop the daemon: what it cannot take waits, the door is watched.
  const patient = createPatientAppend(given);
  const store: Store = { ...given.store, append: patient.append };
  const parts: DaemonParts = { ...given, store };
  const { clock, logger, notifier } = parts;
  const config = parts.config();
  if (config.camera === undefined) return await watchButtonAlone(parts, patient, signal);
  const startedMs = clock.monotonicMs();
  const { ignore } = config.camera;
  const vision = await openVision({ ...visionOptions(config), ignore, logger });
  try {
    announceStart(parts, vision.pack);
    const { path, random } = parts;
    const mount = mountOf(config.camera);
    const camera = openCamera(config.camera, { clock, logger, random, signal, path, mount });
    const owner = await openOwnerSocket({ path: ownerSocketPath(config), camera, logger });
    const watchdog = startWatchdog(parts);
    const sampler = createSampler(config.telemetry.intervalS * 1000, clock);
    const budget = createVisitBudget(() => parts.config().recognition.visitsPerHour);
    const housekeeping = housekeepingOf(parts);
    const telemetry = createGroupCommit({
      append: appendOrDrop(given, "telemetry"),
      maxWaitMs: TELEMETRY_WAIT_MS,
      maxDrafts: TELEMETRY_GROUP,
      failed: (error) => logger.error("telemetry not written", { reason: String(error) }),
    });
    const observer = observe(
      { ...parts, owner, watchdog },
      camera,
      (figures) => {
        if (!housekeeping.acceptsSheddable()) return;
        const metrics = { ...figures, ...housekeeping.metrics() };
        telemetry.add({ type: "telemetry.sampled", actor: "device", data: { metrics } });
      },
      sampler,
      budget,
      createThresholdCheck(parts, vision.pack),
    );
    const background = runBackgroundTasks(parts, { housekeeping, retry: patient.retry }, signal);
    const snapshots = openSnapshots(given, housekeeping);
    notifier.ready();
    logger.info("watching", {
      camera: camera.name,
      pack: vision.pack.id,
      provider: vision.provider,
    });
    try {
      await runPipeline(
        camera,
        {
          vision,
          gallery: {
            nearest(packId, probe, limit) {
              store.catchUp();
              return store.gallery.nearest(packId, probe, limit);
            },
          },
          tracker: createTracker(trackOptions(parts, vision.pack, budget)),
          append: store.append,
          observer,
          logger,
          monotonicMs: clock.monotonicMs,
          maxSidePx: config.recognition.maxSidePx,
          ...picturesOf(given, snapshots, housekeeping),
        },
        signal,
      );
    } finally {
      notifier.stopping();
      watchdog.stop();
      await owner.close();
      await snapshots?.settle();
      await background.stop();
      telemetry.close();
    }
  } finally {
    await vision.close();
  }
  const upMs = clock.monotonicMs() - startedMs;
  const reason = signal.aborted ? "asked to stop" : "the camera ended";
  store.append([{ type: "daemon.stopped", actor: "device", data: { reason, upMs } }]);
  logger.info("stopped", { reason, upMs });
}

/** A doorbell that only rings: the button, the log and what the owner has released. */
async function watchButtonAlone(
  parts: DaemonParts,
  patient: PatientAppend,
  signal: AbortSignal,
): Promise<void> {
  if (parts.config().button === undefined) throw noCamera();
  const { notifier, logger } = parts;
  const watchdog = startWatchdog(parts);
  const tasks = { housekeeping: housekeepingOf(parts), retry: patient.retry };
  const background = runBackgroundTasks(parts, tasks, signal);
  notifier.ready();
  logger.warn("watching the button alone: the configuration names no camera");
  try {
    await untilAborted(signal);
  } finally {
    notifier.stopping();
    watchdog.stop();
    await background.stop();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function housekeepingOf({ store, config, clock, logger }: DaemonParts): Housekeeping {
  return createHousekeeping({
    store,
    config,
    writeVolume: createWriteVolume({ clock }),
    clock,
    logger,
  });
}

function noCamera(): PorchlightError {
  return new PorchlightError(
    "config.camera.missing",
    "the configuration names no camera and no button",
    {
      exitCode: 78,
      hint: "see which cameras there are: porchlight doctor; then add one under `camera:`",
    },
  );
}

function picturesOf(
  { store, logger, newId }: DaemonParts,
  snapshots: Snapshots | null,
  housekeeping: Housekeeping,
) {
  const append = appendOrDrop({ store, logger }, "snapshot");
  const parts = { files: store.mediaFiles, append, newId, logger };
  const storeCrops = async (crops: VisitCrops): Promise<void> => {
    if (housekeeping.acceptsPictures("crops")) await storeVisitCrops(crops, parts);
  };
  return { snapshots, storeCrops, isErased: store.keyring.isErased };
}

/** Null where none are wanted. Orphaned files that a crash has left are removed either way. */
function openSnapshots(parts: DaemonParts, housekeeping: Housekeeping): Snapshots | null {
  const { store, config, newId, logger } = parts;
  const { media, crops, mediaFiles, log } = store;
  // A vault that could not follow, on a full disk, has not applied yet what is there.
  if (store.followed().seq === log.head().seq) {
    const isKnown = (sha256: string) => media.isKnown(sha256) || crops.isKnown(sha256);
    // A command may be about to write the entry of one that it has just made.
    const lost = mediaFiles.sweep(isKnown, parts.clock.now() - ENROLMENT_MS_MAX);
    if (lost > 0) logger.info("pictures without an entry were removed", { lost });
  }
  if (!config().media.snapshots) return null;
  return createSnapshots({
    config: () => config().media,
    files: mediaFiles,
    append: appendOrDrop(parts, "snapshot"),
    hasRoom: () => housekeeping.acceptsPictures("media"),
    newId,
    logger,
  });
}
