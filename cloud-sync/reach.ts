/** How devices reach the broker of this centre: what their bundles say. */
import { readFileSync } from "node:fs";
import { EXIT, PorchlightError } from "../shared/core/errors.ts";
import type { CloudConfig } from "./config.ts";
import { isLoopback } from "./config.ts";
import type { Reach } from "./fleet/bundle.ts";
import { openIdentity, ownNames } from "./identity.ts";
import { readRun } from "./run-file.ts";

/** Addresses at which a server listens everywhere, and nobody connects. */
const ANYWHERE = ["0.0.0.0", "::"];

/** Throws `devices.url` where the address is not known, or `tls.unusable`. */
export async function reachOf(config: CloudConfig, nowMs: number): Promise<Reach> {
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
    throw new PorchlightError("devices.url", "nobody knows yet at which port devices reach us", {
      exitCode: EXIT.config,
      hint: "start the centre first (porchlight-cloud start), or set broker.port or devices.url",
    });
  }
  const host = ANYWHERE.includes(broker.host)
    ? (tls.names[0] ?? ownNames()[0] ?? broker.host)
    : broker.host;
  const secure = tls.certificate !== undefined || !isLoopback(broker.host);
  return `${secure ? "mqtts" : "mqtt"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
