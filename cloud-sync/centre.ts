/** A whole centre: its database, its broker or another's, ingest between them, and the sinks. */
import { readFileSync } from "node:fs";
import type { Clock } from "../shared/clock.ts";
import type { Logger } from "../shared/logger.ts";
import { createBroker, type EmbeddedBroker } from "./broker/broker.ts";
import type { CloudConfig } from "./config.ts";
import { createDevices, type Devices } from "./fleet/devices.ts";
import { watchDevices } from "./fleet/watch-devices.ts";
import { createMqttSource } from "./ingest/mqtt-source.ts";
import { createIngestService } from "./ingest/run-ingest.ts";
import type { Source, Take } from "./ingest/source.ts";
import { type CentralLog, createCentralLog } from "./log/event-log.ts";
import { openDatabase } from "./open-database.ts";
import {
  createRunningSinks,
  createSinks,
  type RunningSinks,
  type Sinks,
  type SinksOptions,
} from "./sinks/run-sinks.ts";

export interface CentreOptions {
  readonly config: CloudConfig;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
  /** Opens what devices have released to this site. */
  readonly openPersonal?: SinksOptions["openPersonal"];
}

/** What a centre that is ready has. */
export interface ReadyCentre {
  readonly log: CentralLog;
  readonly devices: Devices;
  readonly sinks: Pick<RunningSinks, "figures">;
  readonly stores: Pick<Sinks, "faces" | "queryMetrics">;
  /** `host:port/name` of the database, and the broker's URL. */
  readonly addresses: { readonly database: string; readonly mqtt: string };
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
  const open = { logger, random, failed: (error: unknown) => failed.abort(error) };
  const { database, close } = await openDatabase(config, open, signal);
  try {
    const log = createCentralLog(database);
    await log.open();
    const devices = createDevices(database);
    const take: Take = (...batch) => service.ingest.take(...batch);
    const own = config.mqtt.url === undefined ? ownBroker(options, devices, take) : null;
    const source = own ?? otherBroker(options, config.mqtt.url ?? "", take);
    const service = createIngestService({ log, source, clock, random, logger });
    const { openPersonal } = options;
    const opened = openPersonal !== undefined && { openPersonal };
    const stores = createSinks({ config, database, clock, ...opened });
    const projecting = { sinks: stores.sinks, instance: options.newId() };
    const sinks = createRunningSinks({ ...projecting, log, database, clock, random, logger });
    const running = AbortSignal.any([signal, failed.signal]);
    await own?.start();
    const tasks = [service.run(running), sinks.run(running)];
    if (own !== null) {
      const disconnect = (device: string): void => own.disconnect(device);
      tasks.push(watchDevices({ devices, disconnect, logger }, running));
    }
    const ended = Promise.allSettled(
      tasks.map((task) =>
        task.catch((error: unknown) => {
          failed.abort(error);
          throw error;
        }),
      ),
    );
    await Promise.race([source.ready, ended]);
    const mqtt = own?.url() ?? config.mqtt.url ?? "";
    if (!running.aborted)
      ready({ log, devices, sinks, stores, addresses: { database: database.place, mqtt } });
    await ended;
    if (failed.signal.aborted) throw failed.signal.reason;
  } finally {
    await close();
  }
}

function ownBroker(
  { config, logger }: CentreOptions,
  devices: Pick<Devices, "verify">,
  take: Take,
): EmbeddedBroker {
  const { host, port, certificate, key } = config.broker;
  const tls =
    certificate === undefined || key === undefined
      ? null
      : { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
  const authenticate = devices.verify.bind(devices);
  return createBroker({ host, port, tls, authenticate, take, logger });
}

function otherBroker(
  { config, newId, random, logger }: CentreOptions,
  url: string,
  take: Take,
): Source {
  const { username, password, ca, certificate, key, connections } = config.mqtt;
  const broker = {
    url,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca !== undefined && { ca: readFileSync(ca, "utf8") }),
    ...(certificate !== undefined && { certificate: readFileSync(certificate, "utf8") }),
    ...(key !== undefined && { key: readFileSync(key, "utf8") }),
  };
  return createMqttSource({ broker, connections, instance: newId(), take, random, logger });
}
