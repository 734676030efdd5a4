import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { collect, json, porchlight, startDaemon } from "../support/cli.ts";
import { bundledPeople, writePhotos, writeScenes } from "../support/people.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

interface Event {
  readonly event: string;
  readonly seq: number;
  readonly visit: string;
}

const daemon = suite("the daemon");
const folder = tempFolder("daemon");
const config = join(folder.path, "porchlight.yaml");
const at = ["--config", config];
/** Killed this often, at moments spread over start, watching and writing. */
const KILLS = 50;

function configure(more = ""): void {
  writeFileSync(
    config,
    `data: ${folder.path}/data\nmodels: {threads: 1}\n${more}` +
      `camera: {kind: files, name: door, paths: [${folder.path}/scenes], loop: true, everyFrame: true}\n` +
      `recognition: {absentMs: 400, decideAfterMs: 300}\ntelemetry: {intervalS: 1}\n`,
  );
}

/** Events as they are printed, and a promise of the process's end. */
function watched(child: ChildProcess): {
  readonly events: Event[];
  readonly ended: Promise<unknown>;
} {
  const events: Event[] = [];
  assert.ok(child.stdout);
  createInterface({ input: child.stdout }).on("line", (line) => {
    events.push(JSON.parse(line) as Event);
  });
  return { events, ended: once(child, "close") };
}

daemon.before(async () => {
  const people = await bundledPeople();
  writePhotos(people, join(folder.path, "photos"));
  await writeScenes(people.slice(0, 3), join(folder.path, "scenes"), 4);
  configure();
  const { code, err } = await porchlight(["init", "--data", join(folder.path, "data")]);
  assert.is(code, 0, err);
  await porchlight(["enroll", "Grace", join(folder.path, "photos/Grace"), ...at]);
});
daemon.after(() => folder.remove());

daemon("asked to stop, it ends open visits and is gone within five seconds", async () => {
  const child = startDaemon(at);
  const { events, ended } = watched(child);
  await until("a visit has started", () => events.some(({ event }) => event === "visit.started"));
  const asked = Date.now();
  child.kill("SIGTERM");
  const [code] = (await ended) as [number | null];
  assert.is(code, 0);
  assert.ok(Date.now() - asked < 5_000);
  const started = events.filter(({ event }) => event === "visit.started");
  const over = events.filter(({ event }) => event === "visit.ended");
  assert.is(over.length, started.length);
  const tail = await porchlight(["log", "tail", "-n", "1", ...at, "--json"]);
  assert.is(json<{ type: string; data: { reason: string } }>(tail).data.reason, "asked to stop");
});

daemon(
  "told to read its configuration again, it says what changed and what needs a restart",
  async () => {
    const child = startDaemon(at);
    const finished = collect(child);
    let err = "";
    child.stderr?.on("data", (text: string) => {
      err += text;
    });
    await until("it watches", () => err.includes('"watching"'));
    configure("clock: trust\nsync: {release: [profile]}\n");
    writeFileSync(
      config,
      (await import("node:fs"))
        .readFileSync(config, "utf8")
        .replace("decideAfterMs: 300", "decideAfterMs: 350"),
    );
    child.kill("SIGHUP");
    await until("it has reloaded", () => err.includes("configuration reloaded"));
    const line = err.split("\n").find((each) => each.includes("configuration reloaded")) ?? "{}";
    const said = JSON.parse(line) as { changed: string; needsRestart: string };
    assert.match(said.changed, /recognition\.decideAfterMs.*sync\.release/);
    assert.is(said.needsRestart, "clock");
    writeFileSync(config, "recognition: {absentMs: never}\n");
    child.kill("SIGHUP");
    await until("it refuses", () => err.includes("config.invalid"));
    configure();
    child.kill("SIGTERM");
    assert.is((await finished).code, 0, "a broken configuration does not stop a running daemon");
  },
);

daemon("killed fifty times at any moment, it loses nothing it has reported", async () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1e9);
  process.stdout.write(`seed ${seed}\n`);
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const reported: Event[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const child = startDaemon(at);
    const { events, ended } = watched(child);
    // One in five dies while it starts; the others somewhere after their first report.
    if (kill % 5 === 0) await sleep(random() * 1_000);
    else await until("it runs", () => events.length > 0).then(() => sleep(random() * 900));
    child.kill("SIGKILL");
    await ended;
    reported.push(...events);
  }
  assert.ok(reported.length > KILLS, `only ${reported.length} events were reported: seed ${seed}`);
  const verified = await porchlight(["log", "verify", ...at, "--json"]);
  assert.is(verified.code, 0, `${verified.out} seed ${seed}`);
  const exported = await porchlight(["log", "export", ...at]);
  const entries = exported.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const [i, { seq }] of entries.entries()) assert.is(seq, i + 1);
  for (const { event, seq, visit } of reported) {
    const entry = entries[seq - 1];
    assert.is(entry?.type, event, `entry ${seq}: seed ${seed}`);
    assert.is(entry?.data.visit, visit, `entry ${seq}: seed ${seed}`);
  }
  const visits = json<{ id: string }[]>(
    await porchlight(["visits", "list", "--limit", "10000", ...at, "--json"]),
  );
  const known = new Set(visits.map(({ id }) => id));
  assert.ok(
    reported.every(({ visit }) => known.has(visit)),
    `seed ${seed}`,
  );
});

daemon("a visit that was cut off is ended at the next start", async () => {
  const child = startDaemon(at);
  const { events, ended } = watched(child);
  await until("a visit has ended", () => events.some(({ event }) => event === "visit.ended"));
  child.kill("SIGTERM");
  await ended;
  const tail = await porchlight([
    "log",
    "tail",
    "--type",
    "visit.ended",
    "-n",
    "10000",
    ...at,
    "--json",
  ]);
  const reasons = tail.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).data.reason);
  assert.ok(reasons.includes("interrupted"));
  const visits = json<{ outcome: string | null; endedAtMs: number | null }[]>(
    await porchlight(["visits", "list", "--limit", "10000", ...at, "--json"]),
  );
  assert.ok(visits.every(({ outcome, endedAtMs }) => outcome !== null && endedAtMs !== null));
});

daemon("what is in force is told once, and telemetry is written", async () => {
  const count = async (type: string): Promise<number> => {
    const tail = await porchlight(["log", "tail", "--type", type, "-n", "10000", ...at, "--json"]);
    return tail.out.trim().split("\n").filter(Boolean).length;
  };
  assert.is(await count("model.activated"), 1);
  assert.ok((await count("config.applied")) <= 2);
  // The daemons above ended too soon for some figures to be due: this one stays for two intervals.
  const child = startDaemon(at);
  const { ended } = watched(child);
  child.stderr?.resume();
  for (let i = 0; i < 60 && (await count("telemetry.sampled")) === 0; i++) await sleep(250);
  child.kill("SIGTERM");
  await ended;
  assert.ok((await count("telemetry.sampled")) >= 1);
  const tail = await porchlight([
    "log",
    "tail",
    "--type",
    "telemetry.sampled",
    "-n",
    "1",
    ...at,
    "--json",
  ]);
  const { data } = json<{ data: { metrics: Record<string, number> } }>(tail);
  assert.ok((data.metrics["framesPerSecond"] ?? 0) > 0);
});

daemon("at log.level error, it says nothing of what goes well", async () => {
  configure("log: {level: error}\n");
  const child = startDaemon(at);
  const { events, ended } = watched(child);
  let err = "";
  child.stderr?.on("data", (text: string) => {
    err += text;
  });
  await until("a visit has started", () => events.some(({ event }) => event === "visit.started"));
  child.kill("SIGTERM");
  const [code] = (await ended) as [number | null];
  configure();
  assert.is(code, 0);
  assert.is(err, "");
});

daemon.run();
