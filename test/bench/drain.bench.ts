/**
 * How long does a device that was offline for 30 days take to hand over its backlog, to a centre
 * without servers (our own broker, our own PostgreSQL, the sinks running)? Telemetry each minute and
 * 60 visits a day with three sealed crops each. Agent and centre are processes of their own.
 * Expected: at least 10,000 entries/s without crops. Baseline: reading the same rows from log.db.
 */
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../edge/log/open-log.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { report } from "../support/bench.ts";
import { userEnvironment } from "../support/cli.ts";
import { porchlightCloud, startCentre } from "../support/cloud.ts";
import { deviceOf } from "../support/device.ts";
import { sampled, visit } from "../support/facts.ts";
import { type TestStore, testStore } from "../support/store.ts";
import { tempFolder } from "../support/temp.ts";
import { cpuMs } from "../support/usage.ts";

const CLI = fileURLToPath(new URL("../../dist/edge/cli/porchlight.js", import.meta.url));
const DAYS = 30;
const SAMPLES_A_DAY = 24 * 60;
const VISITS_A_DAY = 60;
const CROP_BYTES = 30_000;

/** A day of telemetry, and its visits; with crops, which nobody can open. */
function day(crops: boolean): AnyDraft[] {
  const samples = Array.from({ length: SAMPLES_A_DAY }, (_, i) => sampled(i));
  const visits = Array.from({ length: VISITS_A_DAY }, () => {
    const id = randomUUID();
    return visit(id, null).map((draft): AnyDraft => {
      if (draft.type !== "visit.recognised" || !crops) return draft;
      const three = Array.from({ length: 3 }, () => randomBytes(CROP_BYTES).toString("base64"));
      return { ...draft, personal: { biometric: { crops: three } } };
    });
  });
  return [...samples, ...visits.flat()];
}

function fill(at: TestStore, crops: boolean): number {
  let entries = 1;
  for (let each = 0; each < DAYS; each++) {
    const drafts = day(crops);
    for (let from = 0; from < drafts.length; from += 500) {
      at.store.log.append(drafts.slice(from, from + 500));
    }
    entries += drafts.length;
  }
  return entries;
}

async function measure(name: string, crops: boolean): Promise<void> {
  const at = testStore();
  const entries = fill(at, crops);
  const { reader, close } = openLog(at.options);
  const device = deviceOf(reader);
  const started = performance.now();
  for (let place = reader.start(); ; ) {
    const last = reader.after(place, 1_000).entries.at(-1);
    if (last === undefined) break;
    place = { log: last.log, seq: last.seq, hash: last.hash };
  }
  const readMs = performance.now() - started;
  const bytes = reader.bytes(reader.start());
  close();
  const folder = tempFolder("drain");
  chmodSync(folder.path, 0o755);
  const centreAt = ["--data", join(folder.path, "centre")];
  const centre = await startCentre(centreAt, { PORCHLIGHT_CLOUD_LOG_LEVEL: "warn" });
  const bundle = join(folder.path, "bundle");
  const key = join(folder.path, "log-key");
  await porchlightCloud(["devices", "add", device, "--out", bundle, ...centreAt]);
  writeFileSync(key, Buffer.from(at.options.logKey).toString("hex"), { mode: 0o600 });
  const env = userEnvironment({
    PORCHLIGHT_LOG_KEY_FILE: key,
    PORCHLIGHT_SYNC_BUNDLE_FILE: bundle,
    PORCHLIGHT_DATA: at.options.folder,
  });
  const { pid = 0 } = centre.child;
  const before = cpuMs(pid);
  const began = performance.now();
  const agent = spawn(process.execPath, [CLI, "sync", "run", "--until-acked"], {
    env,
    stdio: "ignore",
  });
  const [code] = await once(agent, "close");
  const ms = performance.now() - began;
  const cpu = cpuMs(pid) - before;
  if (code !== 0) throw new Error(`the agent ended with ${code}`);
  await centre.stop();
  at.remove();
  folder.remove();
  const mib = Math.round(bytes / 1024 ** 2);
  const of = {
    bench: "drain",
    case: `${name}: ${entries.toLocaleString("en")} entries, ${mib} MiB`,
  };
  const rate = (milliseconds: number): number => (entries * 1_000) / milliseconds;
  report({ ...of, metric: "rate", value: rate(ms), unit: "entries/s", baseline: rate(readMs) });
  report({
    ...of,
    metric: "time, start of the agent included",
    value: ms / 1_000,
    unit: "s",
    baseline: null,
  });
  report({
    ...of,
    metric: "CPU of the centre per entry, sinks included",
    value: (cpu * 1_000) / entries,
    unit: "µs",
    baseline: null,
  });
}

await measure("30 days without crops", false);
await measure("30 days with crops", true);
