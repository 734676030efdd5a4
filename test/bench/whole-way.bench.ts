/**
 * How many entries a second go the whole way, payload → broker → ingest → PostgreSQL's commit → ack,
 * everything on one machine, the chain verified? With one, a hundred and a thousand devices.
 * Expected: at least 0.3 of a bare COPY of the same rows, as text, into a table without index on the
 * same server (157,000/s were seen on two cores, so about 50,000/s). Our own broker and PostgreSQL:
 * at least 10,000/s. Each end is a process of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createSinkControl } from "../../cloud-sync/sinks/runner/control.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { quantile, report } from "../support/bench.ts";
import { startCentre } from "../support/cloud.ts";
import { visitLike } from "../support/links.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { startPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/temp.ts";
import { cpuMs, peakMiB } from "../support/usage.ts";

const FLEET = fileURLToPath(new URL("../support/fleet.ts", import.meta.url));
/** Devices, batches of each, entries of each batch: 200,000 entries. */
const CASES = [
  [1, 200, 1_000],
  [100, 2, 1_000],
  [1_000, 2, 100],
] as const;
const WARM_UP = [10, 2, 1_000] as const;
const BARE_ROWS = 50_000;
const BARE_ROUNDS = 3;

/** What is not of this site is left alone on a broker of others. */
const REGISTER = `INSERT INTO devices (device, password_hash, salt)
  SELECT device, sha256('x'), decode(repeat('00', 16), 'hex') FROM unnest($1::uuid[]) AS device`;

async function sendAll(
  url: string,
  figures: readonly number[],
  { centre, database }: { readonly centre: number; readonly database: Database },
): Promise<{ readonly entries: number; readonly ms: number; readonly cpu: number }> {
  const child = spawn(process.execPath, [FLEET, url, ...figures.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: devices } = await lines.next();
  await database.query(REGISTER, [JSON.parse(devices ?? "[]")]);
  const before = cpuMs(centre);
  child.stdin.write("go\n");
  const { value } = await lines.next();
  const cpu = cpuMs(centre) - before;
  child.stdin.end();
  await once(child, "close");
  return { ...JSON.parse(value ?? ""), cpu };
}

/** Entries a second of COPY as text into a table like event_log, without an index. */
async function bareCopy(database: Database): Promise<number> {
  await database.query("CREATE TABLE IF NOT EXISTS bare (LIKE event_log INCLUDING IDENTITY)");
  const log = "7d8e4f6c-50c5-4a6b-9a3e-000000000000";
  const lines = Array.from({ length: BARE_ROWS }, (_, i) => {
    const fact = visitLike(i);
    const body = JSON.stringify({ ...fact, log, seq: i + 1 });
    const hash = `\\\\x${i.toString(16).padStart(64, "0")}`;
    const columns = [log, i + 1, hash, body, fact.type, fact.at, fact.subject, fact.actor];
    return [...columns, "2026-01-01 00:00:00Z"].join("\t");
  });
  const bytes = Buffer.from(`${lines.join("\n")}\n`);
  const statement = `COPY bare (log, seq, hash, body, type, at, subject, actor, received_at) FROM STDIN`;
  const times: number[] = [];
  for (let round = 0; round < BARE_ROUNDS; round++) {
    const started = performance.now();
    await database.transaction((connection) => connection.copyIn(statement, bytes));
    times.push(performance.now() - started);
  }
  return (BARE_ROWS * 1_000) / quantile(times, 0.5);
}

/** What one case has left for the sinks is not to be in the way of the next. */
async function level(database: Database): Promise<void> {
  const { states } = createSinkControl(database);
  const sinks = await states();
  if (sinks.every(({ running, lagEntries }) => !running || lagEntries === 0)) return;
  await new Promise((done) => setTimeout(done, 200));
  await level(database);
}

async function measure(
  name: string,
  { url, pid, database }: { url: string; pid: number; database: Database },
): Promise<void> {
  const at = { centre: pid, database };
  await sendAll(url, WARM_UP, at);
  for (const figures of CASES) {
    await level(database);
    const bare = await bareCopy(database);
    const { entries, ms, cpu } = await sendAll(url, figures, at);
    const of = { bench: "whole-way", case: `${name}, ${figures[0].toLocaleString("en")} devices` };
    const value = (entries * 1_000) / ms;
    report({ ...of, metric: "rate", value, unit: "entries/s", baseline: bare });
    const each = (cpu * 1_000) / entries;
    report({
      ...of,
      metric: "CPU of the centre per entry",
      value: each,
      unit: "µs",
      baseline: null,
    });
  }
  const peak = { bench: "whole-way", case: name, metric: "memory of the centre, most" };
  report({ ...peak, value: peakMiB(pid), unit: "MiB", baseline: null });
}

/** With the sinks in the same process, or left to another instance. */
async function onServers(name: string, run: boolean): Promise<void> {
  const postgres = await startPostgres();
  const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
  const databaseUrl = postgres.freshDatabase();
  const folder = tempFolder("whole-way");
  const centre = await startCentre(["--data", folder.path], {
    PORCHLIGHT_CLOUD_DATABASE_URL: databaseUrl,
    PORCHLIGHT_CLOUD_MQTT_URL: broker.url,
    PORCHLIGHT_CLOUD_LOG_LEVEL: "error",
    // The question is how fast it goes, and one device is to show it too.
    PORCHLIGHT_CLOUD_FAIRNESS_LOG_KIB_PER_SECOND: "1048576",
    PORCHLIGHT_CLOUD_SINKS_RUN: String(run),
  });
  const database = createDatabase({ url: databaseUrl, logger: silentLogger, random: Math.random });
  const { pid = 0 } = centre.child;
  await measure(name, { url: broker.url, pid, database });
  await centre.stop();
  await database.close();
  await broker.stop();
  await postgres.stop();
  folder.remove();
}

await onServers("Mosquitto and PostgreSQL 15", false);
await onServers("the same, sinks beside it", true);
