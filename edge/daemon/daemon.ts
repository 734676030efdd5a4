/** The daemon: builds the rooms from a configuration, runs the pipeline, and takes itself down. */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { CameraStats } from "../camera/frame.ts";
import { openCamera } from "../camera/open-camera.ts";
import { appliedOf, visionOptions } from "../config/options.ts";
import { ownerSocketPath } from "../config/paths.ts";
import type { DeviceConfig } from "../config/schema.ts";
import type { Notifier } from "../host/sd-notify.ts";
import { createGroupCommit } from "../log/group-commit.ts";
import { storeVisitCrops, type VisitCrops } from "../media/crops.ts";
import { createSnapshots, type Snapshots } from "../media/snapshots.ts";
import type { Thresholds } from "../recognition/match.ts";
import { samePersonOf, thresholdsOf } from "../recognition/thresholds.ts";
import { createTracker, type TrackEvent } from "../recognition/track.ts";
import { createWriteVolume } from "../sqlite/write-volume.ts";
import { appendOrDropOnFullDisk } from "../store/append-unless-full.ts";
import type { Store } from "../store/open-store.ts";
import { mountOf } from "../vision/mounting.ts";
import type { PackIdentity } from "../vision/pack.ts";
import { openVision } from "../vision/vision.ts";
import { runBackgroundTasks } from "./background.ts";
import { createHousekeeping, type Housekeeping } from "./housekeeping.ts";
import { type OwnerSocket, openOwnerSocket } from "./owner-socket.ts";
import { type PipelineObserver, runPipeline } from "./pipeline.ts";
import { createSampler } from "./telemetry.ts";

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
  // A full disk does not stop the daemon: what cannot be written is logged, the door watched.
  const store: Store = { ...given.store, append: appendOrDropOnFullDisk(given, "fact") };
  const parts: DaemonParts = { ...given, store };
  const { clock, logger, notifier } = parts;
  const config = parts.config();
  if (config.camera === undefined) throw noCamera();
  const startedMs = clock.monotonicMs();
  const { ignore } = config.camera;
  const vision = await openVision({ ...visionOptions(config), ignore, logger });
  try {
    announceStart(parts, vision.pack);
    const { path, random } = parts;
    const mount = mountOf(config.camera);
    const camera = openCamera(config.camera, { clock, logger, random, signal, path, mount });
    const owner = await openOwnerSocket({ path: ownerSocketPath(config), camera, logger });
    const sampler = createSampler(config.telemetry.intervalS * 1000, clock);
    const housekeeping = createHousekeeping({
      store,
      config: parts.config,
      writeVolume: createWriteVolume({ clock }),
      clock,
      logger,
    });
    const telemetry = createGroupCommit({
      append: appendOrDropOnFullDisk(given, "telemetry"),
      maxWaitMs: TELEMETRY_WAIT_MS,
      maxDrafts: TELEMETRY_GROUP,
      failed: (error) => logger.error("telemetry not written", { reason: String(error) }),
    });
    const observer = observe(
      { ...parts, owner },
      camera,
      (figures) => {
        if (!housekeeping.acceptsSheddable()) return;
        const metrics = { ...figures, ...housekeeping.metrics() };
        telemetry.add({ type: "telemetry.sampled", actor: "device", data: { metrics } });
      },
      sampler,
    );
    const background = runBackgroundTasks(parts, housekeeping, signal);
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
          tracker: createTracker(trackOptions(parts, vision.pack)),
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

function noCamera(): PorchlightError {
  return new PorchlightError("config.camera.missing", "the configuration names no camera", {
    exitCode: 78,
    hint: "see which cameras there are: porchlight doctor; then add one under `camera:`",
  });
}

function trackOptions(parts: DaemonParts, pack: PackIdentity) {
  return {
    get thresholds(): Thresholds {
      return thresholdsOf(parts.config().recognition, pack);
    },
    get absentMs(): number {
      return parts.config().recognition.absentMs;
    },
    get decideAfterMs(): number {
      return parts.config().recognition.decideAfterMs;
    },
    pack: pack.id,
    samePerson: samePersonOf(pack),
    newId: parts.newId,
  };
}

/** Facts of what changed since the daemon last ran; what did not change is not appended again. */
function announceStart({ store, config, version, boot }: DaemonParts, pack: PackIdentity): void {
  const { name, version: packVersion, models } = pack;
  const actor = "device";
  const applied = appliedOf(config());
  const active = store.latest.of("model.activated")?.data;
  const samePack =
    active?.name === name &&
    active.version === packVersion &&
    JSON.stringify(active.models) === JSON.stringify(models);
  store.append([
    {
      type: "daemon.started",
      actor,
      data: { version, boot, pack: { name, version: packVersion } },
    },
  ]);
  endInterrupted(store);
  if (store.latest.of("config.applied")?.data.sha256 !== applied.sha256) {
    store.append([{ type: "config.applied", actor, data: applied }]);
  }
  if (!samePack) {
    const data = { name, version: packVersion, models: [...models] };
    store.append([{ type: "model.activated", actor, data }]);
  }
}

function picturesOf(
  { store, logger, newId }: DaemonParts,
  snapshots: Snapshots | null,
  housekeeping: Housekeeping,
) {
  const append = appendOrDropOnFullDisk({ store, logger }, "telemetry");
  const parts = { files: store.mediaFiles, append, newId, logger };
  const storeCrops = async (crops: VisitCrops): Promise<void> => {
    if (housekeeping.acceptsPictures("crops")) await storeVisitCrops(crops, parts);
  };
  return { snapshots, storeCrops };
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
    append: appendOrDropOnFullDisk(parts, "telemetry"),
    hasRoom: () => housekeeping.acceptsPictures("media"),
    newId,
    logger,
  });
}

/** Visits that the last run could not end: power was lost, or it was killed. */
function endInterrupted(store: Store): void {
  for (const { id, outcome } of store.visits.open()) {
    const data = {
      visit: id,
      reason: "interrupted",
      durationMs: null,
      frames: null,
      outcome: outcome ?? "unusable",
    } as const;
    store.append([{ type: "visit.ended", actor: "device", data }]);
  }
}

function observe(
  { notifier, emit, watch, logger, owner }: DaemonParts & { readonly owner: OwnerSocket },
  camera: { readonly stats: CameraStats },
  sampled: (metrics: Record<string, number>) => void,
  sampler: ReturnType<typeof createSampler>,
): PipelineObserver {
  return {
    frame(frame, image, sightings, times) {
      // A frame has reached its decisions: this, and nothing else, feeds the watchdog.
      notifier.alive();
      owner.frame(frame.image);
      const metrics = sampler.add(times, sightings.length, camera.stats);
      if (metrics !== null) {
        sampled(metrics);
        notifier.status(`${metrics["framesPerSecond"]?.toFixed(1)} frames/s`);
      }
      watch?.frame(frame, image, sightings, times);
    },
    event(event, seq) {
      emit(JSON.stringify(lineOf(event, seq)));
      if (event.kind === "recognised") notifier.status(`last decision: ${event.decision.outcome}`);
      watch?.event(event, seq);
    },
    damaged(frame, error) {
      logger.debug("frame skipped", { index: frame.index, code: error.code });
      watch?.damaged(frame, error);
    },
  };
}

/** An event for other programs: pseudonymous ids and measurements, never a name. */
function lineOf(event: TrackEvent, seq: number): Record<string, unknown> {
  const { kind, visit } = event;
  const head = { event: `visit.${kind}`, seq, visit };
  if (kind === "started") return { ...head, camera: event.camera };
  if (kind === "ended") {
    return { ...head, outcome: event.outcome, durationMs: event.durationMs, frames: event.frames };
  }
  const { outcome, person, score, margin } = event.decision;
  return { ...head, revision: event.revision, outcome, person, score, margin };
}
