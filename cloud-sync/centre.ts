/**
 * A whole centre: its database, its broker or an external one, ingest between them, sinks and
 * metrics.
 */
import { createSecureContext } from "node:tls";
import { createBoundary } from "../shared/core/boundary.ts";
import type { Clock } from "../shared/core/clock.ts";
import type { Logger } from "../shared/core/logger.ts";
import { createStopStack, type StopStack } from "../shared/core/stop-stack.ts";
import { createSupervisor, type Supervisor } from "../shared/core/supervise.ts";
import { whileAway } from "../shared/core/while-away.ts";
import { healthRoutes } from "./api/health.ts";
import { limitCounters } from "./api/limit-counters.ts";
import { createMetrics } from "./api/metrics.ts";
import type { CloudConfig } from "./config/schema.ts";
import { createDeviceBudget } from "./fairness/device-budget.ts";
import { createDevices, type Devices } from "./fleet/devices.ts";
import { createPresenceBook } from "./fleet/presence.ts";
import { watchDevices } from "./fleet/revoke-sessions.ts";
import { isLoopback } from "./host/addresses.ts";
import { type Identity, openIdentity } from "./host/tls-identity.ts";
import { type Api, type ApiOptions, createApi } from "./http/server.ts";
import { createIngestService } from "./ingest/run-ingest.ts";
import { openKeyring } from "./keyring/open.ts";
import { openSigningKey } from "./keyring/signing-key.ts";
import { createArchivedPages } from "./lifecycle/archived-pages.ts";
import { type CentralLog, createCentralLog } from "./log/event-log.ts";
import type { EmbeddedBroker } from "./mqtt/embedded-broker.ts";
import { openTransport } from "./mqtt/open.ts";
import type { Transport } from "./mqtt/transport.ts";
import { openObjects } from "./objects/open.ts";
import type { Database } from "./postgres/database.ts";
import { databaseProblem } from "./postgres/health.ts";
import { openDatabase } from "./postgres/open.ts";
import {
  createRunningSinks,
  createSinks,
  type RunningSinks,
  type Sinks,
} from "./sinks/registry.ts";
import { createSinkControl, sinksProblem } from "./sinks/runner/control.ts";
import { openUploads } from "./uploads/open.ts";

export interface CentreOptions {
  readonly config: CloudConfig;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
}

/** What a centre that is ready has. */
export interface ReadyCentre {
  readonly log: CentralLog;
  readonly devices: Devices;
  readonly sinks: Pick<RunningSinks, "stats">;
  /**
   * Nearest-face search over released embeddings; null where this instance opens no sealed content.
   */
  readonly faces: Sinks["faces"];
  /** `host:port/name` of the database, and the URLs of the broker, of uploads and of metrics. */
  readonly addresses: {
    readonly database: string;
    readonly mqtt: string;
    readonly http: string;
    readonly metrics: string;
  };
  /** Reads the certificate again; connections from then on get it. It does not throw. */
  reload(): Promise<void>;
}

/** At a start, a person looks: a wrong password, right or certificate is theirs to mend. */
const WRONGLY_SET_UP = /^database\.(denied|rights|tls|refused)$/;

/**
 * Runs until the signal is aborted, and ends in order: tasks, servers, the database. Whatever fails
 * in a start, or later, undoes all of it. Throws what keeps it from running, or from going on.
 */
export async function runCentre(
  options: CentreOptions,
  ready: (centre: ReadyCentre) => void,
  signal: AbortSignal,
): Promise<void> {
  const { logger } = options;
  const started = createStopStack(logger);
  const failed = new AbortController();
  try {
    await runParts(options, ready, { started, failed, signal });
  } finally {
    failed.abort();
    await started.unwind();
  }
}

interface Running {
  readonly started: StopStack;
  /** Aborted with what ends the centre. */
  readonly failed: AbortController;
  readonly signal: AbortSignal;
}

async function runParts(
  options: CentreOptions,
  ready: (centre: ReadyCentre) => void,
  { started, failed, signal }: Running,
): Promise<void> {
  const { config, clock, random, logger } = options;
  const identity = await openIdentity(config, clock.now());
  const fail = (error: unknown): void => failed.abort(error);
  const { database, close } = await openDatabase(config, { logger, random, failed: fail }, signal);
  started.push("database", close);
  const centre = await whileAway(
    () => assemble(options, database, identity),
    { ...options, away: ({ code }) => !WRONGLY_SET_UP.test(code) },
    signal,
  );
  if (centre === null) return;
  const running = AbortSignal.any([signal, failed.signal]);
  for (const listener of centre.listeners) {
    started.push("listener", () => listener.stop());
    await listener.start();
  }
  const ended = Promise.all(centre.tasks(running)).then(() => undefined, fail);
  started.push("tasks", () => ended);
  await Promise.race([centre.transport.ready, ended]);
  const { log, devices, sinks, faces, addresses, reload } = centre;
  if (!running.aborted) ready({ log, devices, sinks, faces, addresses: addresses(), reload });
  await ended;
  if (failed.signal.aborted) throw failed.signal.reason;
}

interface Assembled extends Omit<ReadyCentre, "sinks" | "addresses"> {
  readonly sinks: RunningSinks;
  readonly transport: Transport;
  addresses(): ReadyCentre["addresses"];
  /** What listens, in the order of its start. */
  readonly listeners: readonly Pick<Api, "start" | "stop" | "renew">[];
  /** Everything that runs until the signal is aborted. */
  tasks(signal: AbortSignal): Promise<void>[];
}

async function assemble(
  options: CentreOptions,
  database: Database,
  identity: Identity | null,
): Promise<Assembled> {
  const { config, clock, random, logger } = options;
  const log = createCentralLog(database);
  await log.open();
  const devices = createDevices(database);
  const budget = createDeviceBudget({
    logBytesPerSecond: config.fairness.logKibPerSecond * 1_024,
    monotonicMs: clock.monotonicMs,
  });
  const { transport, own } = openTransport({ ...options, devices, budget, identity });
  const publish: Transport["publish"] = (...message) => transport.publish(...message);
  const presence = createPresenceBook({ database, now: clock.now, logger });
  const { released, opening } = await openKeyring({ config, database, publish, logger });
  const service = createIngestService({
    log,
    transport,
    signer: await openSigningKey(config, database),
    clock,
    random,
    logger,
    budget: budget.log,
    nonsense: (device) => own?.disconnect(device),
    committed: (entries, ms) => metrics.committed(entries, ms),
  });
  const stores = createSinks({ config, database, clock, ...opening });
  const archived = createArchivedPages(database, openObjects(config, options.newId), logger);
  const projecting = { ...stores, archived, busy: service.busy, instance: options.newId() };
  const sinks = createRunningSinks({ ...projecting, log, database, clock, random, logger });
  const { uploads, routes, doorStats } = openUploads({
    ...options,
    database,
    publish,
    url: () => api.url(),
  });
  transport.attach({
    onBatch: (...batch) => service.ingest.take(...batch),
    onMessage: {
      status: presence.hear,
      "upload/request": uploads.hear,
      keys: (...message) => released.hear(...message),
    },
  });
  const supervisor = createSupervisor({ logger, random });
  const control = createSinkControl(database);
  const health = healthRoutes([
    { name: "database", problem: () => databaseProblem(database) },
    { name: "broker", problem: async () => transport.problem() },
    { name: "sinks", problem: () => sinksProblem(control), optional: true },
  ]);
  const metrics = createMetrics({
    database,
    uploads: uploads.stats,
    keys: () => released.stats(),
    ingest: () => service.ingest.stats(),
    sinks: control.states,
    connections: () => transport.connected(),
    limits: limitCounters({
      budget: budget.stats,
      ingest: () => service.ingest.stats(),
      broker: () => own?.stats() ?? null,
      door: doorStats,
      http: () => api.stats(),
      statusFailures: presence.failures,
      taskRestarts: supervisor.restarts,
    }),
  });
  const { api, watching } = createListeners(options, identity, {
    http: { ...health, ...routes },
    metrics: { ...health, "GET /metrics": metrics.route },
  });
  const running = { service, presence, uploads, released, sinks, devices, own };
  const listeners = [own ?? [], api, watching].flat();
  return {
    ...{ log, devices, sinks, faces: stores.faces, transport, listeners },
    tasks: (signal) => tasksOf({ ...running, ...options, supervisor }, signal),
    addresses: () => ({
      database: database.place,
      mqtt: own?.url() ?? config.mqtt.url ?? "",
      http: api.url(),
      metrics: watching.url(),
    }),
    reload: () => reload(options, listeners),
  };
}

interface Tasks extends Pick<CentreOptions, "config" | "logger"> {
  readonly service: Task;
  readonly presence: Task;
  readonly uploads: Task;
  readonly released: Task;
  readonly sinks: Task;
  readonly devices: Devices;
  readonly own: EmbeddedBroker | null;
  readonly supervisor: Supervisor;
}

interface Task {
  run(signal: AbortSignal): Promise<void>;
}

/** Only what takes the log in may end the centre: everything else is started again. */
function tasksOf(parts: Tasks, running: AbortSignal): Promise<void>[] {
  const { service, presence, uploads, released, sinks, devices, own, supervisor, logger } = parts;
  const aside: Record<string, Task> = { presence, uploads, "released keys": released };
  if (parts.config.sinks.run) aside["sinks"] = sinks;
  if (own !== null) {
    const disconnect = (...session: [string, Date]): void => own.disconnect(...session);
    aside["revocations"] = { run: (each) => watchDevices({ devices, disconnect, logger }, each) };
  }
  const supervised = Object.entries(aside).map(([name, task]) =>
    supervisor.run(name, (signal) => task.run(signal), running),
  );
  return [service.run(running), ...supervised];
}

/** What listens gets the certificate that is in the files now. */
async function reload(
  { config, clock, logger }: CentreOptions,
  servers: readonly Pick<Api, "renew">[],
): Promise<void> {
  await createBoundary("reload", logger).eachAsync(null, async () => {
    const identity = await openIdentity(config, clock.now());
    if (identity !== null) {
      // One that cannot be used is refused before any server has it.
      createSecureContext({ cert: identity.certificate, key: identity.key });
      for (const server of servers) server.renew(identity);
    }
    logger.info("reloaded", { certificate: identity !== null });
  });
}

/** Devices reach the one; metrics are for who watches the centre. */
function createListeners(
  { config, logger }: CentreOptions,
  identity: Identity | null,
  routes: Readonly<Record<"http" | "metrics", ApiOptions["routes"]>>,
): { readonly api: Api; readonly watching: Api } {
  const watched = listening(metricsListener(config), identity);
  const setting = "http.metrics.port";
  return {
    api: createApi({ ...listening(config.http, identity), routes: routes.http, logger }),
    watching: createApi({ ...watched, routes: routes.metrics, logger, setting }),
  };
}

function listening({ host, port }: { host: string; port: number }, identity: Identity | null) {
  return { host, port, tls: isLoopback(host) ? null : identity };
}

/** The port after the one of uploads, unless it is named: two centres on a machine have two. */
function metricsListener({ http }: CloudConfig): { readonly host: string; readonly port: number } {
  const { host, port = http.port === 0 ? 0 : http.port + 1 } = http.metrics;
  return { host, port };
}
