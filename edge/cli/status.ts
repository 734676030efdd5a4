import { statSync } from "node:fs";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { logPath } from "../log/open-log.ts";
import { vaultPath } from "../vault/open-vault.ts";
import { type DaemonCamera, daemonCamera } from "./daemon-client.ts";
import { type Verb, verb } from "./verb.ts";

const MIB = 1024 * 1024;

function diskWords(disk: {
  readonly full: boolean;
  readonly writtenBytesPerDay: number | null;
  readonly budgetBytesPerDay: number;
}): string {
  const { writtenBytesPerDay: written, budgetBytesPerDay: budget } = disk;
  const room = disk.full ? "FULL: telemetry waits, make room" : "has room";
  if (written === null) return `${room}; what is written a day is known after an hour`;
  const over = written > budget ? ", OVER" : "";
  return `${room}; ${bytes(written)} written a day${over} of ${bytes(budget)}`;
}

function pictureWords(pictures: {
  readonly snapshotBytes: number;
  readonly snapshotBudgetBytes: number;
  readonly cropBytes: { readonly visits: number };
  readonly cropBudgetBytes: number;
  readonly retentionDays: DeviceConfig["retention"];
}): string {
  const { retentionDays, cropBytes } = pictures;
  const { strangers, people } = retentionDays;
  const of = (used: number, budget: number): string => `${bytes(used)} of ${bytes(budget)}`;
  const size = `snapshots ${of(pictures.snapshotBytes, pictures.snapshotBudgetBytes)}, crops ${of(cropBytes.visits, pictures.cropBudgetBytes)}`;
  const days = (each: { readonly crops: number; readonly snapshots: number }): string =>
    each.crops === each.snapshots ? `${each.crops}` : `${each.snapshots} and ${each.crops}`;
  return `${size}; strangers' go after ${days(strangers)} days, people's after ${days(people)}`;
}

/** Whoever erases is told whether that is done. */
function erasingWords({ erasing, behind }: { erasing: number; behind: number }): string {
  if (behind > 0)
    return `; the vault has not followed ${behind} entries, erasures may be among them`;
  return erasing === 0 ? "" : `; NOT ERASED YET: ${erasing}, another process reads the store`;
}

function cameraWords(camera: DaemonCamera | null): string {
  if (camera === null) return "no daemon runs: systemctl status porchlight";
  const { state = "replay", sinceMs, reason, lastFrameAtMs } = camera;
  const since = sinceMs === undefined ? "" : ` since ${dateOf(sinceMs)}`;
  const why = state === "watching" || reason == null ? "" : `: ${reason}`;
  const last = lastFrameAtMs == null ? "" : `, last frame ${dateOf(lastFrameAtMs)}`;
  return `${camera.camera} ${state}${since}${why}${last}`;
}

export const status: Verb = verb({
  name: "status",
  summary: "what this doorbell holds and what it last did",
  options: {},
  example: "porchlight status --json",
  operands: NO_OPERANDS,
  async run({ store: open, config, terminal }) {
    const store = open();
    const { gallery, visits, latest, log, retention, reserve, erasing } = store;
    const head = log.head();
    const started = latest.of("daemon.started");
    const stopped = latest.of("daemon.stopped");
    const model = latest.of("model.activated");
    const telemetry = latest.of("telemetry.sampled");
    const [visit] = visits.list(1);
    const folder = config().data;
    const camera = await daemonCamera(config());
    const facts = {
      device: latest.of("store.opened")?.data.device ?? null,
      log: head,
      bytes: { log: statSync(logPath(folder)).size, vault: statSync(vaultPath(folder)).size },
      people: gallery.people().length,
      templates: gallery.templates().length,
      visits: visits.count(),
      camera,
      buffer: { ...retention.use(), budgetBytes: config().buffer.maxMiB * MIB },
      disk: {
        full: reserve.full(),
        writtenBytesPerDay: telemetry?.data.metrics["storeWrittenBytesPerDay"] ?? null,
        budgetBytesPerDay: config().buffer.writtenMiBPerDay * MIB,
      },
      pictures: {
        snapshotBytes: store.media.bytes(),
        snapshotBudgetBytes: config().media.maxMiB * MIB,
        cropBytes: store.crops.bytes(),
        cropBudgetBytes: config().media.cropsMaxMiB * MIB,
        retentionDays: config().retention,
      },
      erasing: erasing.pending().length,
      behind:
        store.followed().hash === head.hash ? 0 : Math.max(1, head.seq - store.followed().seq),
      pack: model === null ? null : `${model.data.name}@${model.data.version}`,
      startedAtMs: started?.atMs ?? null,
      stoppedAtMs: stopped?.atMs ?? null,
      lastVisit: visit ?? null,
      telemetry: telemetry?.data.metrics ?? null,
    };
    const size = `log ${bytes(facts.bytes.log)}, vault ${bytes(facts.bytes.vault)}`;
    const ran = started === null ? "never" : dateOf(started.atMs);
    const last =
      visit === undefined ? "none yet" : `${dateOf(visit.startedAtMs)} ${visit.outcome ?? "…"}`;
    const lines = [
      `device      ${facts.device}`,
      `log         ${head.seq} entries (${size})`,
      `buffer      ${bytes(facts.buffer.usedBytes)} of ${bytes(facts.buffer.budgetBytes)}`,
      `disk        ${diskWords(facts.disk)}`,
      `people      ${facts.people}, ${facts.templates} templates${erasingWords(facts)}`,
      `pictures    ${pictureWords(facts.pictures)}`,
      `visits      ${facts.visits}, last ${last}`,
      `camera      ${cameraWords(camera)}`,
      `model pack  ${facts.pack ?? `${config().models.pack} (not started yet)`}`,
      `started     ${ran}`,
    ];
    terminal.data(facts, lines.join("\n"));
    return EXIT.ok;
  },
});
