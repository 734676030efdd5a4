/** Every sink, in front of a real store that can be taken away. */
import { randomUUID } from "node:crypto";
import { createKeyring, type Keyring } from "../../cloud-sync/keyring/keyring.ts";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createFaceEncodings } from "../../cloud-sync/sinks/faces/sink.ts";
import { createInflux } from "../../cloud-sync/sinks/influx/sink.ts";
import { createErasures } from "../../cloud-sync/sinks/key-erasure/sink.ts";
import { createTimeSeries } from "../../cloud-sync/sinks/metrics/sink.ts";
import { createPostgresSink } from "../../cloud-sync/sinks/read-models/sink.ts";
import type { AnySink } from "../../cloud-sync/sinks/sink.ts";
import { createLogOwners } from "../../cloud-sync/sinks/support/device-of-log.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { ADMIN, needsInflux, needsVictoria, startInflux, startVictoria } from "./influx.ts";
import { needsPgvector, startPgvector } from "./pgvector.ts";
import { needsPostgres, type PostgresServer } from "./postgres.ts";
import { startProxy } from "./proxy.ts";
import type { Story } from "./story.ts";

/** What a store needs of the rest. */
export interface Surroundings {
  /** Where the central log is. */
  readonly database: Database;
  readonly server: PostgresServer;
  readonly story: Story;
}

export interface StoreUnderTest {
  /** As another instance would make it. */
  sink(): AnySink;
  /** Everything in it, in one order, without what belongs to a single run. */
  contents(): Promise<unknown>;
  cut(): Promise<void>;
  mend(): Promise<void>;
  stop(): Promise<void>;
}

export interface SinkCase {
  readonly name: string;
  readonly needs: () => boolean;
  /** The types of entries of the story that it rejects. */
  readonly rejects: readonly string[];
  start(around: Surroundings): Promise<StoreUnderTest>;
}

/** A database of its own behind a proxy, and a way around the proxy. */
async function ownDatabase(server: PostgresServer) {
  const proxy = await startProxy(server.port);
  const url = new URL(server.freshDatabase());
  const open = (port: number): Database => {
    url.port = String(port);
    return createDatabase({ url: url.href, logger: silentLogger, random: () => 0 });
  };
  const direct = open(server.port);
  const proxied: Database[] = [];
  return {
    direct,
    connect() {
      const database = open(proxy.port);
      proxied.push(database);
      return database;
    },
    cut: () => proxy.cut(),
    mend: () => proxy.mend(),
    async stop() {
      await Promise.all([direct, ...proxied].map((database) => database.close()));
      await proxy.stop();
    },
  };
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
const READ_MODELS = ["devices", "anomalies", "people", "templates", "visits", "media", "audit"];

const postgres: SinkCase = {
  name: "postgres",
  needs: needsPostgres,
  rejects: ["template.added", "visit.ended"],
  async start({ database, server }) {
    const own = await ownDatabase(server);
    const devicesOf = createLogOwners(database);
    const tables = [...READ_MODELS, "projection"].map((table) => `porchlight_read.${table}`);
    return {
      ...own,
      sink: () => createPostgresSink({ database: own.connect(), devicesOf }),
      contents: () => tablesOf(own.direct, tables),
    };
  },
};

const timeSeries: SinkCase = {
  name: "time-series",
  needs: needsPostgres,
  rejects: METRICS_REJECTED,
  async start({ database, server }) {
    const own = await ownDatabase(server);
    const common = { devicesOf: createLogOwners(database), retention: FOREVER, clock: systemClock };
    return {
      ...own,
      sink: () => createTimeSeries({ ...common, database: own.connect() }).sink,
      contents: () => tablesOf(own.direct, ["porchlight_metrics.raw"]),
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
const vectorServer = once(startPgvector);

const influx1: SinkCase = {
  name: "influx (InfluxDB 1.6)",
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

async function facesOn(
  server: PostgresServer,
  { database, story }: Surroundings,
): Promise<StoreUnderTest> {
  const own = await ownDatabase(server);
  const devicesOf = createLogOwners(database);
  const columns = "template, subject, device, pack, dimension, embedding::text, position";
  const encodings = `(SELECT ${columns} FROM porchlight_faces.face_encodings)`;
  const rest = ["erased", "places", "projection"].map((name) => `porchlight_faces.${name}`);
  return {
    ...own,
    sink: () => createFaceEncodings({ database: own.connect(), devicesOf, open: story.open }).sink,
    contents: () => tablesOf(own.direct, [encodings, ...rest]),
  };
}

const keyring: SinkCase = {
  name: "keyring",
  needs: needsPostgres,
  rejects: [],
  async start({ database, server }) {
    const own = await ownDatabase(server);
    await createCentralLog(own.direct).open();
    const devicesOf = createLogOwners(database);
    const ofOwn = (): Keyring => createKeyring({ database: own.connect(), site: null });
    return {
      ...own,
      sink: () => createErasures({ keyring: ofOwn(), devicesOf }),
      contents: () => tablesOf(own.direct, ["erased_subjects", "released_keys"]),
    };
  },
};

const faces: SinkCase = {
  name: "face-encodings",
  needs: needsPostgres,
  rejects: ["template.added"],
  start: (around) => facesOn(around.server, around),
};

const facesByVector: SinkCase = {
  name: "face-encodings (pgvector)",
  needs: needsPgvector,
  rejects: ["template.added"],
  start: async (around) => facesOn(await vectorServer(), around),
};

export const SINK_CASES: readonly SinkCase[] = [
  postgres,
  timeSeries,
  keyring,
  faces,
  facesByVector,
  influx1,
  victoria,
];
