/** How devices reach the broker of this centre: what their bundles say. */
import { readFileSync } from "node:fs";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { CloudConfig } from "../config/schema.ts";
import { advertisedHost, isLoopback } from "./addresses.ts";
import { readRun } from "./run-file.ts";
import { openIdentity } from "./tls-identity.ts";

/** The broker, as devices reach it. */
export interface BrokerAddress {
  readonly url: string;
  /** PEM of the authority behind it; null: the one that the device's system knows. */
  readonly authority: string | null;
}

/** Throws `devices.url` where the address is not known, or `tls.unusable`. */
export async function brokerAddress(config: CloudConfig, nowMs: number): Promise<BrokerAddress> {
  const url = config.devices.url ?? config.mqtt.url ?? ownUrl(config);
  const file = config.devices.ca ?? config.mqtt.ca;
  if (file !== undefined) return { url, authority: readFileSync(file, "utf8") };
  const own = config.mqtt.url === undefined && /^(mqtts|wss):/.test(url);
  const identity = own ? await openIdentity(config, nowMs) : null;
  return { url, authority: identity?.authority ?? null };
}

function ownUrl({ data, broker, tls }: CloudConfig): string {
  const running = readRun(data);
  const port = running === null ? broker.port : Number(new URL(running.mqtt).port);
  if (port === 0) {
    throw new PorchlightError("devices.url", "the broker's port is not known yet", {
      exitCode: EXIT.config,
      hint: "start the centre first (porchlight-cloud start), or set broker.port or devices.url",
    });
  }
  const host = advertisedHost(broker.host, tls.names);
  const secure = tls.certificate !== undefined || !isLoopback(broker.host);
  return `${secure ? "mqtts" : "mqtt"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
