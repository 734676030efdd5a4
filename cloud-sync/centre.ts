/**
 * A whole centre: its database, its broker or an external one, ingest between them, sinks and
 * metrics.
 */
import { readFileSync } from "node:fs";
import type { Clock } from "../shared/core/clock.ts";
import { messageOf } from "../shared/core/errors.ts";
import type { Logger } from "../shared/core/logger.ts";
import { type Check, live, ready as readyRoute } from "./api/health.ts";
import { createMetrics } from "./api/metrics.ts";
import type { CloudConfig } from "./config/schema.ts";
import { createDevices, type Devices } from "./fleet/devices.ts";
import { createPresenceBook } from "./fleet/presence.ts";
import { watchDevices } from "./fleet/revoke-sessions.ts";
import { isLoopback } from "./host/addresses.ts";
import { readSecret } from "./host/secret-file.ts";
import { type Identity, openIdentity } from "./host/tls-identity.ts";
import { type Api, createApi } from "./http/server.ts";
import { createIngestService } from "./ingest/run-ingest.ts";
import { openKeyring } from "./keyring/open.ts";
import { openSigningKey } from "./keyring/signing-key.ts";
import { createArchivedPages } from "./lifecycle/archived-pages.ts";
import { type CentralLog, createCentralLog } from "./log/event-log.ts";
import { createBroker, type EmbeddedBroker } from "./mqtt/embedded-broker.ts";
import { createMqttTransport } from "./mqtt/external-broker.ts";
import type { Transport } from "./mqtt/transport.ts";
import { openObjects } from "./objects/open.ts";
import type { Database } from "./postgres/database.ts";
import { openDatabase } from "./postgres/open.ts";
import {
  createRunningSinks,
  createSinks,
  type RunningSinks,
  type Sinks,
} from "./sinks/registry.ts";
import { createSinkControl } from "./sinks/runner/control.ts";
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
  /** `host:port/name` of the database, and the URLs of the broker and of health and metrics. */
  readonly addresses: { readonly database: string; readonly mqtt: string; readonly http: string };
}

/**
 * Runs until the signal is aborted, and ends in order: the broker, what is under way, the database.
 * Throws what keeps it from running, or from going on.
 */
export async function runCentre(
  options: CentreOptions,
  ready: (centre: ReadyCentre) => void,
  signal: AbortSignal,
): Promise<void> {
  const { config, clock, random, logger } = options;
  const failed = new AbortController();
  const identity = await openIdentity(config, clock.now());
  const open = { logger, random, failed: (error: unknown) => failed.abort(error) };
  const { database, close } = await openDatabase(config, open, signal);
  try {
    const centre = await assemble(options, database, identity);
    const running = AbortSignal.any([signal, failed.signal]);
    await centre.own?.start();
    await centre.api.start();
    const ended = Promise.allSettled(
      centre.tasks(running).map((task) =>
        task.catch((error: unknown) => {
          failed.abort(error);
          throw error;
        }),
      ),
    );
    await Promise.race([centre.transport.ready, ended]);
    const mqtt = centre.own?.url() ?? config.mqtt.url ?? "";
    const addresses = { database: database.place, mqtt, http: centre.api.url() };
    const { log, devices, sinks, faces } = centre;
    if (!running.aborted) ready({ log, devices, sinks, faces, addresses });
    await ended;
    await centre.api.stop();
    if (failed.signal.aborted) throw failed.signal.reason;
  } finally {
    await close();
  }
}

interface Assembled {
  readonly log: CentralLog;
  readonly devices: Devices;
  readonly sinks: RunningSinks;
  readonly faces: Sinks["faces"];
  readonly transport: Transport;
  /** Our own broker, where there is no other. */
  readonly own: EmbeddedBroker | null;
  readonly api: Api;
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
  const own = config.mqtt.url === undefined ? ownBroker(options, devices, identity) : null;
  const transport = own ?? otherBroker(options, config.mqtt.url ?? "");
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
    committed: (entries, ms) => metrics.committed(entries, ms),
  });
  const stores = createSinks({ config, database, clock, ...opening });
  const archived = createArchivedPages(database, openObjects(config, options.newId), logger);
  const projecting = { ...stores, archived, instance: options.newId() };
  const sinks = createRunningSinks({ ...projecting, log, database, clock, random, logger });
  const { uploads, routes } = openUploads({
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
  const metrics = createMetrics({
    database,
    uploads: uploads.stats,
    keys: () => released.stats(),
    ingest: () => service.ingest.stats(),
    sinks: createSinkControl(database).states,
    connections: () => transport.connected(),
  });
  const { host, port } = config.http;
  const api = createApi({
    host,
    port,
    tls: isLoopback(host) ? null : identity,
    routes: {
      "GET /health/live": live,
      "GET /health/ready": readyRoute(checksOf(database, transport)),
      "GET /metrics": metrics.route,
      ...routes,
    },
    logger,
  });
  const tasks = (running: AbortSignal): Promise<void>[] => {
    const disconnect = (...session: [string, Date]): void => own?.disconnect(...session);
    const all = [service, presence, uploads, released].map((each) => each.run(running));
    if (config.sinks.run) all.push(sinks.run(running));
    if (own !== null) all.push(watchDevices({ devices, disconnect, logger }, running));
    return all;
  };
  return { log, devices, sinks, faces: stores.faces, transport, own, api, tasks };
}

function checksOf(database: Database, transport: Transport): readonly Check[] {
  const asked = async (): Promise<string | null> => {
    try {
      await database.query("SELECT 1");
      return null;
    } catch (error) {
      return messageOf(error);
    }
  };
  let stands = false;
  void transport.ready.then(() => {
    stands = true;
  });
  return [
    { name: "database", problem: asked },
    { name: "broker", problem: async () => (stands ? null : "no connection yet") },
  ];
}

function ownBroker(
  { config, logger }: CentreOptions,
  devices: Pick<Devices, "verify">,
  identity: Identity | null,
): EmbeddedBroker {
  const { host, port } = config.broker;
  // A certificate that was named is used on loopback too: devices may come through a tunnel.
  const named = config.tls.certificate !== undefined;
  const tls = named || !isLoopback(host) ? identity : null;
  const authenticate = devices.verify.bind(devices);
  return createBroker({ host, port, tls, authenticate, logger });
}

const MQTT_KEY = {
  credential: "mqtt-key",
  code: "mqtt.key",
  missing: "there is no private key for mqtt.certificate",
  hint: "name its PEM file with mqtt.key: porchlight-cloud config schema",
  groupReads: true,
} as const;

function otherBroker({ config, newId, random, logger }: CentreOptions, url: string): Transport {
  const { username, password, ca, certificate, key, connections } = config.mqtt;
  const broker = {
    url,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca !== undefined && { ca: readFileSync(ca, "utf8") }),
    ...(certificate !== undefined && { certificate: readFileSync(certificate, "utf8") }),
    ...(key !== undefined && {
      key: readSecret(MQTT_KEY, { ...config, configuredFile: key }).toString(),
    }),
  };
  return createMqttTransport({ broker, connections, instance: newId(), random, logger });
}
