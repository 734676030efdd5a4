/**
 * A device and its centre as real processes, of which one is killed with -9 again and again while
 * the device recognises people: daemon, agent, Mosquitto, centre and PostgreSQL. At the end
 * everything must be in the centre's database once, byte for byte.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { json, porchlight, startDaemon, userEnvironment } from "./cli.ts";
import { porchlightCloud } from "./cloud.ts";
import { seeded } from "./facts.ts";
import { intrude } from "./hostile-agent.ts";
import { type Mosquitto, startMosquitto } from "./mosquitto.ts";
import { bundledPeople, writePhotos, writeScenes } from "./people.ts";
import { freePort } from "./port.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { tempFolder } from "./temp.ts";

export const VICTIMS = ["daemon", "agent", "broker", "centre", "database"] as const;
export type Victim = (typeof VICTIMS)[number];

export interface TortureReport {
  readonly seed: number;
  readonly kills: Readonly<Record<Victim, number>>;
  /** Entries in the device's log, and how many of them its daemon had reported as events. */
  readonly entries: number;
  readonly reported: number;
  readonly lost: number;
  readonly doubled: number;
  /** Whether the two exports are the same text. */
  readonly same: boolean;
  readonly deviceFault: unknown;
  readonly centreFault: unknown;
  readonly deadLetters: number;
  readonly seconds: number;
}

const AGENT = fileURLToPath(new URL("../../dist/edge/agent/main.js", import.meta.url));
const CENTRE = fileURLToPath(
  new URL("../../dist/cloud-sync/cli/porchlight-cloud.js", import.meta.url),
);
/** Between two kills: some hit a process that starts, some one that works. */
const PAUSE_MS = { least: 100, most: 1_600 } as const;
/** All it takes to come back after the last kill, on a busy machine. */
const SETTLE_MS = 120_000;

interface Reported {
  readonly event: string;
  readonly seq: number;
  readonly visit: string;
}

/** A process that is started again whenever it ends, as systemd would. */
class Kept {
  readonly #start: () => ChildProcess;
  #child: ChildProcess | null = null;
  #wanted = false;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(start: () => ChildProcess) {
    this.#start = start;
  }

  begin(): void {
    this.#wanted = true;
    this.#launch();
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  async end(): Promise<void> {
    this.#wanted = false;
    this.#child?.kill("SIGTERM");
    await this.#ended;
  }

  #launch(): void {
    const child = this.#start();
    this.#child = child;
    child.stderr?.resume();
    this.#ended = once(child, "close").then(() => {
      if (this.#wanted) setTimeout(() => this.#wanted && this.#launch(), 100);
    });
  }
}

export async function torture(kills: number, seed: number): Promise<TortureReport> {
  const started = performance.now();
  const random = seeded(seed);
  const rig = await setUp();
  const counts = Object.fromEntries(VICTIMS.map((victim) => [victim, 0])) as Record<Victim, number>;
  try {
    rig.begin();
    for (let kill = 0; kill < kills; kill++) {
      await sleep(PAUSE_MS.least + random() * (PAUSE_MS.most - PAUSE_MS.least));
      const victim = VICTIMS[Math.floor(random() * VICTIMS.length)] ?? "agent";
      counts[victim]++;
      await rig.kill(victim, random);
    }
    const found = await rig.settle();
    const seconds = Math.round((performance.now() - started) / 1_000);
    return { seed, kills: counts, ...found, seconds };
  } finally {
    await rig.remove();
  }
}

async function setUp() {
  const folder = tempFolder("torture");
  const [data, config] = [join(folder.path, "door"), join(folder.path, "porchlight.yaml")];
  const at = ["--config", config];
  mkdirSync(data);
  const people = await bundledPeople();
  const [known] = people;
  if (known === undefined) throw new Error("the bundled photos show people");
  writePhotos([known], join(folder.path, "photos"));
  await writeScenes(people.slice(0, 3), join(folder.path, "scenes"), 3);
  writeFileSync(
    config,
    `data: ${data}\nmodels: {threads: 1}\ntelemetry: {intervalS: 1}\n` +
      `camera: {kind: files, name: door, paths: [${folder.path}/scenes], loop: true, framesPerSecond: 8}\n` +
      "recognition: {absentMs: 200, decideAfterMs: 100, maxSidePx: 320}\n",
  );
  await done(porchlight(["init", ...at]));
  await done(porchlight(["enroll", known.name, join(folder.path, "photos", known.name), ...at]));
  const postgres = await startPostgres();
  const broker = await startMosquitto();
  const cloud = {
    PORCHLIGHT_CLOUD_DATABASE_URL: postgres.freshDatabase(),
    PORCHLIGHT_CLOUD_MQTT_URL: broker.url,
    PORCHLIGHT_CLOUD_HTTP_PORT: String(await freePort()),
    PORCHLIGHT_CLOUD_HTTP_METRICS_PORT: "0",
    PORCHLIGHT_CLOUD_DATA: join(folder.path, "centre"),
  };
  const { out } = await porchlight(["log", "export", ...at]);
  const device: string = JSON.parse(out.split("\n")[0] ?? "").data.device;
  const bundle = join(folder.path, "bundle");
  await done(porchlightCloud(["migrate"], cloud));
  await done(porchlightCloud(["devices", "add", device, "--out", bundle], cloud));
  await done(porchlight(["sync", "join", bundle, ...at]));
  const feed = join(data, "feed", "feed.sock");
  return new Rig({ at, cloud, device, feed, postgres, broker, remove: folder.remove });
}

async function done(running: ReturnType<typeof porchlight>): Promise<void> {
  const { code, err } = await running;
  if (code !== 0) throw new Error(`the set-up failed: ${err}`);
}

interface Parts {
  readonly at: readonly string[];
  readonly cloud: Record<string, string>;
  readonly device: string;
  /** The socket that the daemon serves. */
  readonly feed: string;
  readonly postgres: PostgresServer;
  readonly broker: Mosquitto;
  readonly remove: () => void;
}

class Rig {
  readonly #parts: Parts;
  readonly #reported: Reported[] = [];
  readonly #daemon: Kept;
  readonly #agent: Kept;
  readonly #centre: Kept;
  /** Servers come back in the background, one start at a time. */
  readonly #coming = { broker: Promise.resolve(), database: Promise.resolve() };

  constructor(parts: Parts) {
    this.#parts = parts;
    const { at, cloud } = parts;
    const ours = (program: string, args: readonly string[], more: Record<string, string> = {}) =>
      spawn(process.execPath, [program, ...args], {
        env: userEnvironment(more),
        stdio: ["ignore", "ignore", "pipe"],
      });
    this.#daemon = new Kept(() => this.#watched(startDaemon(at)));
    this.#agent = new Kept(() => ours(AGENT, at));
    this.#centre = new Kept(() => ours(CENTRE, ["start"], cloud));
  }

  begin(): void {
    for (const kept of [this.#centre, this.#agent, this.#daemon]) kept.begin();
  }

  async kill(victim: Victim, random: () => number): Promise<void> {
    const { broker, postgres } = this.#parts;
    const awayMs = random() * 1_500;
    switch (victim) {
      case "daemon":
        return this.#daemon.kill();
      case "agent":
        this.#agent.kill();
        // Somebody else is quicker than the one who comes back.
        return intrude(this.#parts.feed, random);
      case "centre":
        return this.#centre.kill();
      case "broker":
        this.#coming.broker = again(this.#coming.broker, broker, awayMs);
        return;
      case "database":
        this.#coming.database = again(this.#coming.database, postgres, awayMs);
    }
  }

  /** Nobody is killed any more: waits until the centre has everything, and compares. */
  async settle() {
    const { at, cloud, device } = this.#parts;
    await Promise.all(Object.values(this.#coming));
    await this.#daemon.end();
    await this.#agent.end();
    const rest = porchlight(["sync", "run", "--until-acked", ...at]);
    const late = sleep(SETTLE_MS, null, { ref: false });
    const ran = await Promise.race([rest, late]);
    if (ran?.code !== 0) throw new Error(`the log did not arrive in time: ${ran?.err}`);
    const [here, there, verified, central, letters] = await Promise.all([
      porchlight(["log", "export", ...at]),
      porchlightCloud(["log", "export", "--device", device], cloud),
      porchlight(["log", "verify", ...at, "--json"]),
      porchlightCloud(["log", "verify", "--json"], cloud),
      porchlightCloud(["dead-letters", "list", "--json"], cloud),
    ]);
    const [own, held] = [linesOf(here.out), linesOf(there.out)];
    const kept = new Set(held);
    const entries = own.map((line) => JSON.parse(line));
    const missed = this.#reported.filter(({ event, seq, visit }) => {
      const entry = entries[seq - 1];
      return entry?.type !== event || entry?.data.visit !== visit;
    });
    return {
      entries: own.length,
      reported: this.#reported.length,
      lost: own.filter((line) => !kept.has(line)).length + missed.length,
      doubled: held.length - kept.size,
      same: here.out === there.out,
      deviceFault: json<{ fault: unknown }>(verified).fault,
      centreFault: json<{ fault: unknown }[]>(central).find(({ fault }) => fault !== null) ?? null,
      deadLetters: json<unknown[]>(letters).length,
    };
  }

  async remove(): Promise<void> {
    await Promise.all([this.#daemon.end(), this.#agent.end(), this.#centre.end()]);
    await Promise.allSettled(Object.values(this.#coming));
    await this.#parts.broker.stop();
    await this.#parts.postgres.stop();
    this.#parts.remove();
  }

  /** What the daemon has told the world about must never be missing afterwards. */
  #watched(daemon: ChildProcess): ChildProcess {
    if (daemon.stdout !== null) {
      createInterface({ input: daemon.stdout }).on("line", (line) => {
        // The last line of a killed process may be half a line.
        if (line.endsWith("}")) this.#reported.push(JSON.parse(line));
      });
    }
    return daemon;
  }
}

async function again(
  before: Promise<void>,
  server: { kill(): Promise<void>; restart(): Promise<void> },
  awayMs: number,
): Promise<void> {
  await before;
  await server.kill();
  await sleep(awayMs);
  await server.restart();
}

function linesOf(text: string): string[] {
  return text.split("\n").filter(Boolean);
}
