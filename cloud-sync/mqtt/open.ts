/** The broker that a configuration names, or one of our own where it names none. */
import { readFileSync } from "node:fs";
import type { Logger } from "../../shared/core/logger.ts";
import type { CloudConfig } from "../config/schema.ts";
import type { DeviceBudget } from "../fairness/device-budget.ts";
import { isLoopback } from "../host/addresses.ts";
import { readSecret } from "../host/secret-file.ts";
import { type BrokerOptions, createBroker, type EmbeddedBroker } from "./embedded-broker.ts";
import { createMqttTransport } from "./external-broker.ts";
import type { Transport } from "./transport.ts";

export interface OpenTransportOptions {
  readonly config: CloudConfig;
  readonly newId: () => string;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly budget: DeviceBudget;
  /** Names the site on a broker of others. */
  readonly site: string;
  readonly devices: {
    readonly verify: BrokerOptions["authenticate"];
    readonly isKnown: NonNullable<BrokerOptions["isKnown"]>;
  };
  readonly identity: BrokerOptions["tls"];
}

/** `own` is the same transport where it is our own broker. */
export function openTransport(options: OpenTransportOptions): {
  readonly transport: Transport;
  readonly own: EmbeddedBroker | null;
} {
  const { url } = options.config.mqtt;
  if (url !== undefined) return { transport: otherBroker(options, url), own: null };
  const own = ownBroker(options);
  return { transport: own, own };
}

function ownBroker({ config, devices, budget, identity, logger }: OpenTransportOptions) {
  const { host, port } = config.broker;
  // A certificate that was named is used on loopback too: devices may come through a tunnel.
  const named = config.tls.certificate !== undefined;
  const tls = named || !isLoopback(host) ? identity : null;
  const { verify: authenticate, isKnown } = devices;
  return createBroker({ host, port, tls, authenticate, isKnown, budget, logger });
}

const MQTT_KEY = {
  credential: "mqtt-key",
  code: "mqtt.key",
  missing: "there is no private key for mqtt.certificate",
  hint: "name its PEM file with mqtt.key: porchlight-cloud config schema",
  groupReads: true,
} as const;

function otherBroker(
  { config, newId, random, logger, budget, site }: OpenTransportOptions,
  url: string,
): Transport {
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
  const instance = newId();
  return createMqttTransport({ broker, connections, instance, site, random, logger, budget });
}
