/** Every sink, in front of a real store that can be taken away. */
import { randomUUID } from "node:crypto";
import { createKeyring } from "../../cloud-sync/keyring/keyring.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import { createFaceEncodings } from "../../cloud-sync/sinks/faces/sink.ts";
import { createInflux } from "../../cloud-sync/sinks/influx/sink.ts";
import { createKeyErasure } from "../../cloud-sync/sinks/key-erasure/sink.ts";
import { createTimeSeries } from "../../cloud-sync/sinks/metrics/sink.ts";
import type { AnyProjection } from "../../cloud-sync/sinks/projection.ts";
import { createReadModels } from "../../cloud-sync/sinks/read-models/sink.ts";
import type { Sink } from "../../cloud-sync/sinks/sink.ts";
import { createLogOwners } from "../../cloud-sync/sinks/support/device-of-log.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { ADMIN, needsInflux, needsVictoria, startInflux, startVictoria } from "./influx.ts";
import { needsPgvector } from "./pgvector.ts";
import { needsPostgres } from "./postgres.ts";
import { startProxy } from "./proxy.ts";
import type { Story } from "./story.ts";

/** What a store needs of the rest. */
export interface Surroundings {
  /** Where the central log is. */
  readonly database: Database;
  readonly story: Story;
}

export interface StoreUnderTest {
  /** As another instance would make it, on its own connections where its store is the database. */
  sink(database: Database): Sink | AnyProjection;
  /** Everything in it, in one order, without what belongs to a single run. */
  contents(): Promise<unknown>;
  /** Where the store is not the database itself. */
  cut?(): Promise<void>;
  mend?(): Promise<void>;
  /** Takes away what a replay in place would leave. */
  clear?(): Promise<void>;
  stop(): Promise<void>;
}

export interface SinkCase {
  readonly name: string;
  /** Which server the central log is on. */
  readonly server: "postgres" | "pgvector";
  readonly needs: () => boolean;
  /** The types of entries of the story that it rejects. */
  readonly rejects: readonly string[];
  start(around: Surroundings): Promise<StoreUnderTest>;
}

async function tablesOf(database: Database, tables: readonly string[]): Promise<unknown> {
  const rows: unknown[] = [];
  for (const table of tables) {
    const all = await database.query(`SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY t::text`);
    rows.push({ table, all });
  }
  return rows;
}

const FOREVER = { rawDays: 100_000, minuteDays: 100_000, hourDays: 100_000 };
const METRICS_REJECTED = ["telemetry.sampled", "visit.ended"];
const READ_MODELS = "devices anomalies people templates visits links media audit".split(" ");
const nothing = async (): Promise<void> => undefined;

const postgres: SinkCase = {
  name: "postgres",
  server: "postgres",
  needs: needsPostgres,
  rejects: ["template.added", "visit.ended"],
  async start({ database }) {
    const tables = READ_MODELS.map((table) => `porchlight_read.${table}`);
    return {
      sink: (own) => createReadModels({ devicesOf: createLogOwners(own) }),
      contents: () => tablesOf(database, tables),
      stop: nothing,
    };
  },
};

const timeSeries: SinkCase = {
  name: "time-series",
  server: "postgres",
  needs: needsPostgres,
  rejects: METRICS_REJECTED,
  async start({ database }) {
    const common = { retention: FOREVER, clock: systemClock };
    const tables = ["series", "raw", "minute", "hour"].map((name) => `porchlight_metrics.${name}`);
    return {
      sink: (own) =>
        createTimeSeries({ ...common, devicesOf: createLogOwners(own), database: own }).projection,
      contents: () => tablesOf(database, tables),
      stop: nothing,
    };
  },
};

let servers: readonly Stoppable[] = [];

interface Stoppable {
  stop(): Promise<void>;
}

/** A server of a kind is started once, and stopped after the last test. */
export async function stopServers(): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
}

function once<T extends Stoppable>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return async () => {
    started ??= start();
    const server = await started;
    if (!servers.includes(server)) servers = [...servers, server];
    return server;
  };
}

const influxServer = once(startInflux);
const victoriaServer = once(startVictoria);

const influx1: SinkCase = {
  name: "influx (InfluxDB 1.6)",
  server: "postgres",
  needs: needsInflux,
  rejects: METRICS_REJECTED,
  async start({ database }) {
    const server = await influxServer();
    const proxy = await startProxy(server.port);
    const own = `home-${randomUUID()}`;
    const common = { devicesOf: createLogOwners(database), retention: FOREVER, clock: systemClock };
    const account = { url: `http://127.0.0.1:${proxy.port}`, database: own, ...ADMIN };
    return {
      ...proxy,
      sink: () => createInflux({ ...account, ...common, version: 1, manage: true }).sink,
      contents: () => server.query(`SELECT * FROM "${own}".porchlight_raw./.*/ GROUP BY *`),
      async stop() {
        await server.query(`DROP DATABASE "${own}"`);
        await proxy.stop();
      },
    };
  },
};

const victoria: SinkCase = {
  name: "influx (write path 2, VictoriaMetrics)",
  server: "postgres",
  needs: needsVictoria,
  rejects: METRICS_REJECTED,
  async start({ database, story }) {
    const server = await victoriaServer();
    const proxy = await startProxy(server.port);
    const common = { devicesOf: createLogOwners(database), retention: FOREVER, clock: systemClock };
    const account = { url: `http://127.0.0.1:${proxy.port}`, org: "home", bucket: "home" };
    return {
      ...proxy,
      sink: () => createInflux({ ...account, ...common, version: 2, manage: false }).sink,
      contents: () => server.query(`{device="${story.device}"}`),
    };
  },
};

const keyErasure: SinkCase = {
  name: "key-erasure",
  server: "postgres",
  needs: needsPostgres,
  rejects: [],
  async start({ database }) {
    const tables = ["erased_subjects", "released_keys", "visit_people"];
    return {
      sink: (own) =>
        createKeyErasure({
          keyring: createKeyring({ database: own, site: null }),
          devicesOf: createLogOwners(own),
        }),
      contents: () => tablesOf(database, tables),
      clear: async () => void (await database.query(`TRUNCATE ${tables.join(", ")}`)),
      stop: nothing,
    };
  },
};

function facesOn(server: SinkCase["server"], needs: () => boolean, name: string): SinkCase {
  const columns = "template, subject, device, pack, dimension, embedding::text, position";
  const encodings = `(SELECT ${columns} FROM porchlight_faces.face_encodings)`;
  const rest = ["erased", "places", "removed"].map((table) => `porchlight_faces.${table}`);
  return {
    name,
    server,
    needs,
    rejects: ["template.added"],
    start: async ({ database, story }) => ({
      sink(own) {
        const common = { database: own, devicesOf: createLogOwners(own), open: story.open };
        return createFaceEncodings(common).projection;
      },
      contents: () => tablesOf(database, [encodings, ...rest]),
      stop: nothing,
    }),
  };
}

export const SINK_CASES: readonly SinkCase[] = [
  postgres,
  timeSeries,
  keyErasure,
  facesOn("postgres", needsPostgres, "face-encodings"),
  facesOn("pgvector", needsPgvector, "face-encodings (pgvector)"),
  influx1,
  victoria,
];
