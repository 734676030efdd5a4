/**
 * Metrics for Prometheus. The only home of prom-client. A label is a kind, never a device and never
 * a person: their number has no limit, and a metric is no place for who they are.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { z } from "zod";
import { PERSONAL_CLASSES, type PersonalClass } from "../../shared/log/entry.ts";
import type { Route } from "../http/server.ts";
import type { IngestStats } from "../ingest/ingest.ts";
import type { KeyStats } from "../keyring/receive-keys.ts";
import type { Database } from "../postgres/database.ts";
import type { SinkControl, SinkState } from "../sinks/runner/control.ts";
import type { UploadStats } from "../uploads/grants.ts";
import { atMostOnceASecond } from "./at-most-once-a-second.ts";
import type { CounterOf } from "./limit-counters.ts";

export interface MetricsOptions {
  readonly database: Pick<Database, "query">;
  readonly ingest: () => IngestStats;
  /** Connections of the broker that stand. */
  readonly connections: () => number;
  /** Null where no certificate is served. */
  readonly certificateExpiresInS: () => number | null;
  readonly sinks: SinkControl["states"];
  readonly uploads: () => UploadStats;
  readonly keys: () => KeyStats;
  readonly limits: readonly CounterOf[];
}

export interface Metrics {
  /** A group commit of so many entries took so long. */
  committed(entries: number, ms: number): void;
  readonly route: Route;
}

/** Seconds: an fsync on a good disk to a commit that waits for a failover. */
const COMMIT_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ENTRIES_BUCKETS = [1, 10, 100, 1_000, 5_000, 10_000, 50_000];

/** What the tables say, in one look. */
const TABLES = `SELECT
  (SELECT count(*) FROM dead_letters) AS letters,
  (SELECT count(*) FROM logs WHERE frozen_at IS NOT NULL) AS frozen,
  (SELECT count(*) FROM device_status WHERE online) AS online,
  (SELECT count(*) FROM device_status WHERE halted IS NOT NULL) AS halted,
  (SELECT count(*) FROM devices WHERE revoked_at IS NULL) AS registered,
  (SELECT json_object_agg(class, held) FROM (
    SELECT class, count(*) AS held FROM released_keys WHERE wrapped IS NOT NULL GROUP BY class
  ) AS keys) AS keys,
  (SELECT coalesce(sum(lag), 0)::bigint FROM device_status) AS lag`;
const count = z.bigint().transform(Number);
const tablesRow = z.tuple([
  z.object({
    letters: count,
    frozen: count,
    online: count,
    halted: count,
    registered: count,
    lag: count,
    keys: z.partialRecord(z.enum(PERSONAL_CLASSES), z.int()).nullable(),
  }),
]);
type Tables = Omit<z.infer<typeof tablesRow>[0], "keys">;

const TABLE_GAUGES: Readonly<Record<keyof Tables, readonly [string, string]>> = {
  letters: ["porchlight_dead_letters", "dead letters: messages and entries that were not ingested"],
  frozen: ["porchlight_logs_frozen", "frozen logs: forked"],
  online: ["porchlight_devices_online", "devices with a session"],
  halted: ["porchlight_devices_halted", "devices whose sync is halted"],
  registered: ["porchlight_devices_registered", "registered devices that are not revoked"],
  lag: ["porchlight_devices_lag_entries", "sync lag of all devices, entries, as they report it"],
};

export function createMetrics(options: MetricsOptions): Metrics {
  const { database, ingest, connections, sinks, uploads, keys } = options;
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauges = Object.entries(TABLE_GAUGES).map(
    ([key, [name, help]]) => [key, new Gauge({ name, help, registers })] as const,
  );
  follow(registers, ingest, connections);
  followCertificate(registers, options.certificateExpiresInS);
  followUploads(registers, uploads);
  const tellKeys = followKeys(registers, keys);
  const tellSinks = sinkGauges(registers);
  for (const counter of options.limits) countElsewhere(registers, counter);
  const seconds = new Histogram({
    name: "porchlight_ingest_commit_seconds",
    help: "duration of a group commit, from its first statement to its commit, seconds",
    buckets: COMMIT_BUCKETS,
    registers,
  });
  const entries = new Histogram({
    name: "porchlight_ingest_commit_entries",
    help: "entries in a group commit",
    buckets: ENTRIES_BUCKETS,
    registers,
  });
  const collected = atMostOnceASecond(async () => {
    const [tables] = tablesRow.parse(await database.query(TABLES));
    tellSinks(await sinks());
    tellKeys(tables.keys);
    for (const [key, gauge] of gauges) gauge.set(tables[key as keyof Tables]); // TABLE_GAUGES' own
    return await registry.metrics();
  });
  return {
    committed(number, ms) {
      seconds.observe(ms / 1_000);
      entries.observe(number);
    },
    async route(_, response) {
      const text = await collected();
      response.writeHead(200, { "content-type": registry.contentType }).end(text);
    },
  };
}

const BREAKER = { closed: 0, "half-open": 1, open: 2 } as const;

/** By the name of the sink, of which there is a handful. */
function sinkGauges(registers: Registry[]): (states: readonly SinkState[]) => void {
  const of = [
    ["porchlight_sink_lag_entries", "consumer lag of a sink, entries", "lagEntries"],
    [
      "porchlight_sink_lag_seconds",
      "consumer lag of a sink, age of the oldest entry, seconds",
      "lagS",
    ],
    ["porchlight_sink_written_entries", "entries written by a sink", "written"],
    ["porchlight_sink_rejected_entries", "entries rejected by a sink's store", "rejected"],
    [
      "porchlight_sink_discarded_entries",
      "rejected entries over a device's quota: counted, and passed",
      "discarded",
    ],
  ] as const;
  const labelNames = ["sink"] as const;
  const gauges = of.map(
    ([name, help, key]) => [key, new Gauge({ name, help, labelNames, registers })] as const,
  );
  const help = "circuit breaker of a sink: 0 closed, 1 half-open, 2 open";
  const breaker = new Gauge({ name: "porchlight_sink_breaker", help, labelNames, registers });
  const rebuild = new Gauge({
    name: "porchlight_sink_rebuild_lag_entries",
    help: "entries until another version of a sink's tables, or a replay, is level; 0 when none is built",
    labelNames,
    registers,
  });
  return (states) => {
    for (const gauge of [breaker, rebuild, ...gauges.map(([, each]) => each)]) gauge.reset();
    for (const state of states) {
      for (const [key, gauge] of gauges) gauge.set({ sink: state.name }, Number(state[key]));
      breaker.set({ sink: state.name }, BREAKER[state.breaker]);
      rebuild.set({ sink: state.name }, state.rebuild?.lagEntries ?? 0);
    }
  };
}

/** What ingest counts by itself. */
function follow(registers: Registry[], stats: () => IngestStats, connections: () => number): void {
  const counters = [
    ["appendedEntries", "porchlight_ingest_entries_total", "entries appended to the log"],
    ["duplicates", "porchlight_ingest_duplicates_total", "duplicate batches"],
    [
      "gaps",
      "porchlight_ingest_gaps_total",
      "batches with a gap before them, after the reorder wait",
    ],
    ["forks", "porchlight_ingest_forks_total", "batches of a forked log"],
    [
      "invalid",
      "porchlight_ingest_invalid_total",
      "undecodable or invalid batches, moved to the dead-letter queue",
    ],
  ] as const;
  for (const [key, name, help] of counters) {
    countElsewhere(registers, { name, help, value: () => stats()[key] });
  }
  const gauges = [
    [
      "porchlight_ingest_window_messages",
      "messages in the admission window",
      () => stats().inWindow,
    ],
    ["porchlight_ingest_early_batches", "batches in the reorder buffer", () => stats().early],
    ["porchlight_broker_connections", "open connections to the broker", connections],
  ] as const;
  for (const [name, help, value] of gauges) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }
}

/** Nothing where no certificate is served. */
function followCertificate(registers: Registry[], expiresInS: () => number | null): void {
  new Gauge({
    name: "porchlight_certificate_expires_seconds",
    help: "seconds until the served certificate expires",
    registers,
    collect() {
      const seconds = expiresInS();
      this.reset();
      if (seconds !== null) this.set(seconds);
    },
  });
}

/** A counter kept by its owner: it is read at each scrape. */
function countElsewhere(registers: Registry[], { name, help, value }: CounterOf): void {
  new Counter({
    name,
    help,
    registers,
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}

/** Upload grants, by answer. */
function followUploads(registers: Registry[], stats: () => UploadStats): void {
  const counters = [
    ["granted", "porchlight_uploads_granted_total", "upload grants issued"],
    [
      "held",
      "porchlight_uploads_held_total",
      "upload requests for objects that are stored already",
    ],
    [
      "refused",
      "porchlight_uploads_refused_total",
      "upload requests refused: not announced by an entry",
    ],
    [
      "dropped",
      "porchlight_uploads_dropped_total",
      "upload requests dropped: invalid, over the limit, or the store unavailable",
    ],
  ] as const;
  for (const [key, name, help] of counters) {
    countElsewhere(registers, { name, help, value: () => stats()[key] });
  }
}

/** What was released to this site: how much of it is here, by its class, and what was refused. */
function followKeys(
  registers: Registry[],
  stats: () => KeyStats,
): (held: Partial<Record<PersonalClass, number>> | null) => void {
  const counters = [
    ["kept", "porchlight_keys_kept_total", "released-key updates stored"],
    ["refused", "porchlight_keys_refused_total", "released keys rejected: they do not unwrap"],
    ["dropped", "porchlight_keys_dropped_total", "released-key messages dropped"],
  ] as const;
  for (const [key, name, help] of counters) {
    countElsewhere(registers, { name, help, value: () => stats()[key] });
  }
  const held = new Gauge({
    name: "porchlight_keys_held",
    help: "released keys stored, by class",
    labelNames: ["class"] as const,
    registers,
  });
  return (counts) => {
    for (const name of PERSONAL_CLASSES) held.set({ class: name }, counts?.[name] ?? 0);
  };
}
