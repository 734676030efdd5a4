/** Instances that are paused at any moment, for however long, and followed by another meanwhile. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createSinkControl } from "../../cloud-sync/sinks/runner/control.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { decodeBatch } from "../../shared/protocol/batch.ts";
import { seeded } from "../support/facts.ts";
import { mixedDevice } from "../support/mixed-entries.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { until } from "../support/until.ts";

const paused = suite("sinks whose instances are paused");
const SINKS = fileURLToPath(new URL("../support/sinks-process.ts", import.meta.url));
const SEED = Number(process.env["PORCHLIGHT_TEST_SEED"] ?? 20261129);
const ROUNDS = 8;
const ENTRIES = 1_500;
/** Sums of doubles differ in their last digits by the order in which they were added. */
const ROUNDED = `(SELECT series, at, count, mins, maxs, (SELECT array_agg(round(each::numeric, 6))
  FROM unnest(sums) each) AS sums FROM porchlight_metrics.hour)`;
const TABLES = [
  "porchlight_read.visits",
  "porchlight_read.audit",
  "porchlight_metrics.minute",
  "porchlight_metrics.raw",
  ROUNDED,
];
const EXPIRE = "UPDATE sink_cursors SET held_until = now() - interval '1 second'";
/** Of one that was stopped within a transaction: its lock is free when that has been idle too long. */
const END_IDLE = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE state = 'idle in transaction' AND pid <> pg_backend_pid()`;

async function instance(url: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SINKS, url], { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  if (child.stdout !== null) await once(child.stdout, "data");
  return child;
}

async function contents(database: Database): Promise<unknown> {
  const of = TABLES.map(async (table) => {
    const all = `SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum
      FROM ${table} t`;
    return { table, rows: await database.query(all) };
  });
  return Promise.all(of);
}

/** Every sink is as far as the log, and none is built anew. */
async function level(database: Database): Promise<boolean> {
  const states = await createSinkControl(database).states();
  const done = states.every(({ lagEntries, rebuild }) => lagEntries === 0 && rebuild === null);
  const asked = await database.query("SELECT FROM sink_cursors WHERE reset_asked");
  return done && asked.length === 0 && states.length === 3;
}

if (needsPostgres()) {
  let server: PostgresServer;
  paused.before(async () => {
    server = await startPostgres();
  });
  paused.after(() => server.stop());

  paused(`write every entry once, stopped and continued by signals (seed ${SEED})`, async () => {
    const random = seeded(SEED);
    const url = server.freshDatabase();
    const database = createDatabase({ url, logger: silentLogger, random: Math.random });
    const log = createCentralLog(database);
    await log.open();
    const instances = await Promise.all([instance(url), instance(url)]);
    for (let round = 0; round < ROUNDS; round++) {
      const { device, payloads } = mixedDevice(ENTRIES, 500, Date.now());
      for (const payload of payloads) {
        await log.append([{ device, batch: decodeBatch(payload) }]);
        await sleep(random() * 40);
      }
      const [one, other] = round % 2 === 0 ? instances : [...instances].reverse();
      one?.kill("SIGSTOP");
      // In the middle of a replay, too: the tables that are built are fenced as well.
      if (round === 3) await createSinkControl(database).reset("postgres");
      await sleep(50);
      await database.query(END_IDLE);
      await database.query(EXPIRE);
      await sleep(200 + random() * 300);
      one?.kill("SIGCONT");
      assert.is(other?.exitCode, null, "it runs on");
    }
    await until("they are level", () => level(database), 60_000);
    const live = await contents(database);
    for (const sink of ["postgres", "time-series"]) await createSinkControl(database).reset(sink);
    await until("they were replayed", () => level(database), 60_000);
    assert.equal(live, await contents(database));
    const kept = await database.query("SELECT FROM porchlight_read.audit");
    assert.is(kept.length, (ROUNDS * ENTRIES * 4) / 10, "everything but telemetry");
    for (const child of instances) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await database.close();
  });
}

paused.run();
