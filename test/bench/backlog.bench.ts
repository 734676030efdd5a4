/**
 * Do 30 days without a network fit into the buffer of 512 MiB? Writes them, entry by entry as a
 * busy door makes them, into a real log.db: telemetry each minute, 60 visits a day with three crops each
 * (files, as their entries announce them), a snapshot of every visit, 20 presses. Expected: well below the budget. Baseline: the
 * budget. Then the budget is cut to less than half of it, and what has to go is given up.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { logPath } from "../../edge/log/open-log.ts";
import { createWriteVolume } from "../../edge/sqlite/write-volume.ts";
import { systemClock } from "../../shared/core/clock.ts";
import type { AnyDraft, Draft } from "../../shared/log/draft.ts";
import { quantile, report } from "../support/bench.ts";
import { captured, pressed, sampled, seeded, visit } from "../support/facts.ts";
import { testStore } from "../support/store.ts";

const DAYS = 30;
const VISITS = 60;
const PRESSES = 20;
const MINUTES = 1_440;
const MIB = 1024 * 1024;
const BUDGET = 512 * MIB;
const random = seeded(30);
const figures = Array.from({ length: 18 }, (_, i) => `figureOfTheDoor${i}`);

let minute = 0;
let cropBytes = 0;
const start = Date.UTC(2026, 0, 2);
const at = testStore({
  now: () => start + minute * 60_000,
  monotonicMs: () => minute * 60_000,
});
const disk = createWriteVolume({ clock: systemClock });

function telemetry(): AnyDraft {
  const metrics = Object.fromEntries(
    figures.map((name) => [name, Math.round(random() * 100_000) / 100]),
  );
  return { ...sampled(0), data: { metrics } };
}

/** A crop as the pipeline makes it, of 20 to 40 kB: its entry; the file is counted, not written. */
function crop(visit: string): Draft<"crop.captured"> {
  const bytes = 20_000 + Math.floor(random() * 20_000);
  cropBytes += bytes;
  const sha256 = randomBytes(32).toString("hex");
  return {
    type: "crop.captured",
    actor: "device",
    subject: visit,
    data: { bytes, crop: randomUUID(), revision: 1, sha256, visit },
    personal: {
      biometric: {
        digest: randomBytes(32).toString("hex"),
        key: randomBytes(32).toString("base64"),
      },
    },
  };
}

function visitWithCrops(): AnyDraft[] {
  const id = randomUUID();
  const [started, recognised, ended] = visit(id, null);
  if (started === undefined || recognised === undefined || ended === undefined) {
    throw new Error("a visit has three facts");
  }
  const snapshot = captured(id);
  const data = { ...snapshot.data, sha256: randomBytes(32).toString("hex") };
  return [started, recognised, crop(id), crop(id), crop(id), { ...snapshot, data }, ended];
}

const writtenBefore = disk.writtenBytes() ?? 0;
for (let day = 0; day < DAYS; day++) {
  for (let of = 0; of < MINUTES; of++, minute++) {
    at.store.append([telemetry()]);
    if (random() < VISITS / MINUTES) for (const fact of visitWithCrops()) at.store.append([fact]);
    if (random() < PRESSES / MINUTES) at.store.append([pressed()]);
  }
}
const writtenBytes = (disk.writtenBytes() ?? 0) - writtenBefore;
const { usedBytes } = at.store.retention.use();
const entries = at.store.log.head().seq;

const of = { bench: "backlog", case: `${DAYS} days, ${entries.toLocaleString("en")} entries` };
const mib = (bytes: number): number => bytes / MIB;
report({ ...of, metric: "log.db", value: mib(usedBytes), unit: "MiB", baseline: mib(BUDGET) });
report({ ...of, metric: "crops", value: mib(cropBytes), unit: "MiB", baseline: null });
const perDay = mib(writtenBytes) / DAYS;
report({ ...of, metric: "written a day", value: perDay, unit: "MiB", baseline: 512 });

const policy = { maxMiB: 16, maxDays: 365, shed: ["telemetry", "media", "crops"] } as const;
const steps: number[] = [];
for (let done = "shed"; done === "shed"; ) {
  const started = performance.now();
  done = at.store.retention.step(policy);
  steps.push(performance.now() - started);
}
const left = mib(at.store.retention.use().usedBytes);
const cut = { bench: "backlog", case: "everything given up that may go" };
report({ ...cut, metric: "log.db", value: left, unit: "MiB", baseline: mib(usedBytes) });
const file = mib(statSync(logPath(at.options.folder)).size);
report({ ...cut, metric: "the file", value: file, unit: "MiB", baseline: null });
for (const [metric, part] of [
  ["a step, p50", 0.5],
  ["a step, max", 1],
] as const) {
  report({ ...cut, metric, value: quantile(steps, part), unit: "ms", baseline: null });
}
at.remove();
