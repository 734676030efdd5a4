/**
 * A whole centre: its database, its broker or an external one, ingest between them, sinks and
 * metrics.
 */
import { createBoundary } from "../shared/core/boundary.ts";
import type { Clock } from "../shared/core/clock.ts";
import { invariant } from "../shared/core/errors.ts";
import type { Logger } from "../shared/core/logger.ts";
import { createStopStack, type StopStack } from "../shared/core/stop-stack.ts";
import { createSupervisor, type Supervisor } from "../shared/core/supervise.ts";
import { whileAway } from "../shared/core/while-away.ts";
import type { Bundle } from "../shared/protocol/bundle.ts";
import { PAIRING_PATH } from "../shared/protocol/pairing.ts";
import { healthRoutes } from "./api/health.ts";
import { limitCounters } from "./api/limit-counters.ts";
import { createListeners, type Listener } from "./api/listeners.ts";
import { createMetrics } from "./api/metrics.ts";
import { createWalShipping } from "./backup/wal.ts";
import type { CloudConfig } from "./config/schema.ts";
import { createDeviceBudget } from "./fairness/device-budget.ts";
import { makeBundle } from "./fleet/bundle.ts";
import { createDevices, type Devices } from "./fleet/devices.ts";
import { createPairingCodes } from "./fleet/pairing.ts";
import { createPairingRoute } from "./fleet/pairing-route.ts";
import { createPresenceBook } from "./fleet/presence.ts";
import { watchDevices } from "./fleet/revoke-sessions.ts";
import { createSiteDevices } from "./fleet/site-devices.ts";
import { brokerAddress } from "./host/broker-address.ts";
import { type Identity, openIdentity } from "./host/tls-identity.ts";
import { createIngestService } from "./ingest/run-ingest.ts";
import { openKeyring } from "./keyring/open.ts";
import { openSigningKey, readSigningKey } from "./keyring/signing-key.ts";
import { readPublicKey } from "./keyring/site-key.ts";
import { createArchivedPages } from "./lifecycle/archived-pages.ts";
import { type CentralLog, createCentralLog } from "./log/event-log.ts";
import type { EmbeddedBroker } from "./mqtt/embedded-broker.ts";
import { onlyOurs } from "./mqtt/only-ours.ts";
import { openTransport } from "./mqtt/open.ts";
import type { Receiver, Transport } from "./mqtt/transport.ts";
import { openObjects } from "./objects/open.ts";
import { isArchived } from "./postgres/archiving.ts";
import type { Database } from "./postgres/database.ts";
import { databaseProblem } from "./postgres/health.ts";
import { openDatabase } from "./postgres/open.ts";
import {
  createRunningSinks,
  createSinks,
  type RunningSinks,
  type Sinks,
} from "./sinks/registry.ts";
import { createSinkControl, type SinkControl, sinksProblem } from "./sinks/runner/control.ts";
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
  const identity = await openIdentity(config, clock.now(), logger);
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
  readonly listeners: readonly Listener[];
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
  const publish: Transport["publish"] = (...message) => transport.publish(...message);
  const presence = createPresenceBook({ database, now: clock.now, logger });
  const { released, opening, site } = await openKeyring({ config, database, publish, logger });
  const { transport, own } = openTransport({ ...options, devices, budget, identity, site });
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
  const receiver: Receiver = {
    onBatch: (...batch) => service.ingest.take(...batch),
    onMessage: {
      status: presence.hear,
      "upload/request": uploads.hear,
      keys: (...message) => released.hear(...message),
    },
  };
  transport.attach(own === null ? ofThisSite(receiver, database, options) : receiver);
  const supervisor = createSupervisor({ logger, random });
  const control = createSinkControl(database);
  const health = healthOf(database, transport, control);
  const metrics = createMetrics({
    database,
    uploads: uploads.stats,
    keys: () => released.stats(),
    ingest: () => service.ingest.stats(),
    sinks: control.states,
    connections: () => transport.connected(),
    certificateExpiresInS: () => served.expiresInS(),
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
  const { api, watching, listeners, served } = createListeners(options, identity, {
    own,
    http: { ...health, ...routes, ...pairingOf(options, devices, database) },
    metrics: { ...health, "GET /metrics": metrics.route },
  });
  const running = { service, presence, uploads, released, sinks, devices, own, served };
  return {
    ...{ log, devices, sinks, faces: stores.faces, transport, listeners },
    tasks: (signal) => tasksOf({ ...running, ...options, supervisor }, signal),
    addresses: () => ({
      database: database.place,
      mqtt: own?.url() ?? config.mqtt.url ?? "",
      http: api.url(),
      metrics: watching.url(),
    }),
    reload: served.reload,
  };
}

/** A device that comes with a code of `devices add --code` gets its bundle. */
function pairingOf(options: CentreOptions, devices: Devices, database: Database) {
  const { config, clock, newId, logger } = options;
  const bundleOf = async (device: string, password: string): Promise<Bundle> => {
    const site = await readPublicKey(database);
    invariant(site !== null, "a centre that runs has its key");
    const keys = { site, signing: await readSigningKey(database) };
    return makeBundle(device, await brokerAddress(config, clock.now()), { password }, keys);
  };
  const codes = createPairingCodes(database);
  const { monotonicMs } = clock;
  const route = createPairingRoute({ codes, devices, bundleOf, newId, monotonicMs, logger });
  return { [`POST ${PAIRING_PATH}`]: route };
}

function healthOf(database: Database, transport: Transport, control: SinkControl) {
  return healthRoutes([
    { name: "database", problem: () => databaseProblem(database) },
    { name: "broker", problem: async () => transport.problem() },
    { name: "sinks", problem: () => sinksProblem(control), optional: true },
  ]);
}

/** A broker of others has devices of others, too; our own lets in nobody else. */
function ofThisSite(receiver: Receiver, database: Database, options: CentreOptions): Receiver {
  const { clock, logger } = options;
  const { isOurs } = createSiteDevices({ database, monotonicMs: clock.monotonicMs, logger });
  return onlyOurs(receiver, isOurs, createBoundary("broker message", logger));
}

interface Tasks extends Pick<CentreOptions, "config" | "logger"> {
  readonly service: Task;
  readonly presence: Task;
  readonly uploads: Task;
  readonly released: Task;
  readonly sinks: Task;
  readonly served: Task;
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
  aside["certificate"] = parts.served;
  if (isArchived(parts.config)) aside["backup"] = createWalShipping(parts);
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
