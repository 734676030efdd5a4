/**
 * How much memory does the daemon take, and how soon after its start does it decide?
 * Expected: below 250 MB resident with the default pack, first decision within 2 s.
 * Baseline of memory: a bare Node process of the same version.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { MEMORY_ENVIRONMENT } from "../../edge/host/memory-environment.ts";
import { quantile, report } from "../support/bench.ts";
import { porchlight, startDaemon } from "../support/cli.ts";
import { bundledPeople, writePhotos, writeScenes } from "../support/people.ts";
import { tempFolder } from "../support/temp.ts";

const RUNS = 3;
/** Long enough for every scene to have passed some times. */
const WATCH_MS = 15_000;
const KIB = 1024;
const MB = 1e6;

function residentMb({ pid }: ChildProcess, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * KIB) / MB;
}

const folder = tempFolder("bench-daemon");
const config = join(folder.path, "porchlight.yaml");
const at = ["--config", config];
const people = await bundledPeople();
writePhotos(people, join(folder.path, "photos"));
await writeScenes(people.slice(0, 3), join(folder.path, "scenes"), 4);
writeFileSync(
  config,
  `data: ${folder.path}/data\n` +
    `camera: {kind: files, name: door, paths: [${folder.path}/scenes], loop: true, framesPerSecond: 10}\n` +
    "recognition: {decideAfterMs: 0}\n",
);
await porchlight(["init", "--data", join(folder.path, "data")]);
await porchlight(["enroll", "Grace", join(folder.path, "photos/Grace"), ...at]);

const bare = spawn(process.execPath, ["-e", "setTimeout(() => {}, 600000)"]);
await sleep(1_000);
const bareMb = residentMb(bare, "VmRSS");
bare.kill();

const firstMs: number[] = [];
const resident: number[] = [];
const highest: number[] = [];
for (let run = 0; run < RUNS; run++) {
  const started = performance.now();
  const daemon = startDaemon(at, MEMORY_ENVIRONMENT);
  daemon.stderr?.resume();
  if (daemon.stdout === null) throw new Error("the daemon has no stdout");
  let seen = false;
  createInterface({ input: daemon.stdout }).on("line", (line) => {
    if (!seen && line.includes("visit.recognised")) firstMs.push(performance.now() - started);
    seen ||= line.includes("visit.recognised");
  });
  await sleep(WATCH_MS);
  resident.push(residentMb(daemon, "VmRSS"));
  highest.push(residentMb(daemon, "VmHWM"));
  daemon.kill("SIGTERM");
  await once(daemon, "close");
}
folder.remove();

const of = { bench: "daemon", case: "default pack" } as const;
const first = quantile(firstMs, 0.5);
report({ ...of, metric: "start to first decision p50", value: first, unit: "ms", baseline: null });
report({
  ...of,
  metric: "start to first decision max",
  value: Math.max(...firstMs),
  unit: "ms",
  baseline: null,
});
report({
  ...of,
  metric: "resident p50",
  value: quantile(resident, 0.5),
  unit: "MB",
  baseline: bareMb,
});
report({
  ...of,
  metric: "resident peak",
  value: Math.max(...highest),
  unit: "MB",
  baseline: bareMb,
});
