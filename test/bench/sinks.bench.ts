/**
 * How many entries a second do all default sinks together keep up with, while ingest runs in the
 * same process as fast as it can (a fleet's entries: six samples of eight figures, a visit in three entries, a press in
 * ten)? Expected: at least 20,000/s on two cores, and points of no more than 250 MB a million. Then
 * the questions that are asked of them: at most 50 ms in SQL each, with so many rows, and with ten
 * million entries' (made in SQL). Needs PostgreSQL 15, on its own settings.
 */
import { randomUUID } from "node:crypto";
import { createPressure, type Pressure } from "../../cloud-sync/ingest/pressure.ts";
import { createKeyring } from "../../cloud-sync/keyring/keyring.ts";
import { ARRIVALS_MAX, type CentralLog, createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { listVisits } from "../../cloud-sync/queries/visits.ts";
import { createRunningSinks, createSinks, type Sinks } from "../../cloud-sync/sinks/registry.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { decodeBatch } from "../../shared/protocol/batch.ts";
import { quantile, report } from "../support/bench.ts";
import { type MixedDevice, mixedDevice } from "../support/mixed-entries.ts";
import { startPostgres } from "../support/postgres.ts";
import { newSite } from "../support/released.ts";
import { cpuOfTreeMs } from "../support/usage.ts";

const DEVICES = 100;
const ENTRIES = 9_000;
const BATCH = 500;
/** Batches in one group commit: 5,000 entries. */
const GROUP = 10;
const ASKED = 20;
const MB = 1_000_000;
const DAY_MS = 86_400_000;

interface Centre {
  readonly database: Database;
  readonly log: CentralLog;
  readonly stores: Sinks;
}

async function openCentre(url: string): Promise<Centre> {
  const pool = { url, logger: silentLogger, random: Math.random, statementTimeoutMs: 600_000 };
  const database = createDatabase(pool);
  const log = createCentralLog(database);
  await log.open();
  const keyring = createKeyring({ database, site: newSite() });
  const retention = { rawDays: 30, minuteDays: 180, hourDays: 1_825 };
  const config = { influx: { version: 2, manage: true }, metrics: { retention } } as const;
  const opening = { keyring, openPersonal: keyring.open };
  const stores = createSinks({ config, database, clock: systemClock, ...opening });
  return { database, log, stores };
}

/** A group commit after the other, each of batches of several devices. */
async function ingest(
  log: CentralLog,
  devices: readonly MixedDevice[],
  pressure: Pressure,
): Promise<void> {
  const rounds = devices[0]?.payloads.length ?? 0;
  for (let round = 0; round < rounds; round++) {
    for (let from = 0; from < devices.length; from += Math.min(GROUP, ARRIVALS_MAX)) {
      const arrivals = devices.slice(from, from + GROUP).flatMap(({ device, payloads }) => {
        const payload = payloads[round];
        return payload === undefined ? [] : [{ device, batch: decodeBatch(payload) }];
      });
      const outcomes = await log.append(arrivals);
      pressure.committed(arrivals.length * BATCH);
      if (outcomes.some(({ kind }) => kind !== "appended")) throw new Error("all of it is new");
    }
  }
}

async function measureRate({ database, log, stores }: Centre): Promise<void> {
  const stop = new AbortController();
  const pressure = createPressure(systemClock.monotonicMs);
  const about = { instance: randomUUID(), clock: systemClock, random: Math.random };
  const running = createRunningSinks({
    ...{ ...stores, ...about, database, log, busy: pressure.high },
    archived: null,
    logger: silentLogger,
  });
  const entries = DEVICES * ENTRIES;
  const devices = Array.from({ length: DEVICES }, () => mixedDevice(ENTRIES, BATCH, Date.now()));
  const ended = running.run(stop.signal);
  const [started, cpu] = [performance.now(), cpuOfTreeMs(process.pid)];
  await ingest(log, devices, pressure);
  const ingestedMs = performance.now() - started;
  const last = await log.lastPosition();
  while (running.stats().some(({ position }) => position < last)) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const levelMs = performance.now() - started;
  const cpuUs = ((cpuOfTreeMs(process.pid) - cpu) * 1_000) / entries;
  stop.abort();
  await ended;
  const of = { bench: "sinks", case: `all default sinks, ${entries} entries` };
  const [value, baseline] = [(entries * 1_000) / levelMs, (entries * 1_000) / ingestedMs];
  report({ ...of, metric: "rate, until level", value, unit: "entries/s", baseline });
  // However busy the machine is otherwise: two cores have 2,000,000 of these a second.
  const metric = "CPU of ingest, sinks and PostgreSQL";
  report({ ...of, metric, value: cpuUs, unit: "µs an entry", baseline: null });
}

async function measureSize({ database }: Centre): Promise<void> {
  for (const schema of ["porchlight_metrics", "porchlight_read"]) {
    const size = `SELECT sum(pg_total_relation_size(c.oid))::float8 AS bytes FROM pg_class c
      JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relkind = 'r'`;
    const [row] = await database.query(size, [schema]);
    const bytes = Number(Object(row)["bytes"]);
    const value = bytes / MB / ((DEVICES * ENTRIES) / 1_000_000);
    const of = { bench: "sinks", case: schema, metric: "size of a million entries" };
    report({ ...of, value, unit: "MB", baseline: null });
  }
}

async function measureQuestions(name: string, { database, stores }: Centre): Promise<void> {
  await database.query("VACUUM ANALYZE");
  const [row] = await database.query("SELECT device::text FROM porchlight_read.visits LIMIT 1");
  const device = String(Object(row)["device"]);
  const [from, to] = [new Date(Date.now() - 29 * DAY_MS), new Date()];
  const asked = { measurement: "telemetry", field: "residentMiB", from, to, everyMs: 3_600_000 };
  const questions: Readonly<Record<string, () => Promise<readonly unknown[]>>> = {
    "visits list": () => listVisits(database, { limit: 100 }),
    "visits list of a device": () => listVisits(database, { device, limit: 100 }),
    "metrics query, 29 days by the hour": () => stores.queryMetrics(asked),
    "metrics query of a device": () => stores.queryMetrics({ ...asked, device }),
  };
  for (const [metric, ask] of Object.entries(questions)) {
    const times: number[] = [];
    for (let i = 0; i < ASKED; i++) {
      const started = performance.now();
      if ((await ask()).length === 0) throw new Error(`${metric}: no answer`);
      times.push(performance.now() - started);
    }
    const value = quantile(times, 0.95);
    report({
      bench: "sinks",
      case: name,
      metric: `${metric} p95`,
      value,
      unit: "ms",
      baseline: null,
    });
  }
}

/** What ten million entries of a thousand devices in 29 days come to, but for what is not asked. */
async function fillUp({ database }: Centre): Promise<void> {
  await database.query(
    `INSERT INTO porchlight_read.visits (device, visit, camera, started_at, ended_at, started_position)
     SELECT md5((n % 1000)::text)::uuid, gen_random_uuid(), 'door', at, at + interval '2 seconds', n
     FROM generate_series(1, 1000000) n, LATERAL (SELECT now() - n * interval '2.5 seconds' AS at) m`,
  );
  await database.query(
    `INSERT INTO porchlight_metrics.series (id, measurement, device, tags, fields)
     SELECT n, 'telemetry', md5(n::text)::uuid, '{}', fields FROM generate_series(1, 1000) n,
       (SELECT fields FROM porchlight_metrics.series WHERE measurement = 'telemetry' LIMIT 1) s`,
  );
  await database.query(
    `INSERT INTO porchlight_metrics.hour (series, at, count, sums, mins, maxs)
     SELECT n, date_bin('1 hour', now(), 'epoch') - h * interval '1 hour', 60, f, f, f
     FROM generate_series(1, 1000) n, generate_series(0, 29 * 24) h,
       (SELECT array_fill(1.5::float8, ARRAY[8]) AS f) s ON CONFLICT DO NOTHING`,
  );
}

const server = await startPostgres();
const centre = await openCentre(server.freshDatabase());
await measureRate(centre);
await measureSize(centre);
await measureQuestions(`${(DEVICES * ENTRIES) / 1_000_000} million entries`, centre);
await fillUp(centre);
await measureQuestions("10 million entries", centre);
await centre.database.close();
await server.stop();
