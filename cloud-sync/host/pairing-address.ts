/** Where a device shows its pairing code, and what certificate it is to find there. */
import { X509Certificate } from "node:crypto";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { type Pin, pinOf } from "../../shared/protocol/pairing.ts";
import type { CloudConfig } from "../config/schema.ts";
import { advertisedHost, isLoopback } from "./addresses.ts";
import { readRun } from "./run-file.ts";
import { openIdentity } from "./tls-identity.ts";

export interface PairingAddress {
  /** host:port */
  readonly at: string;
  readonly pin: Pin;
}

/** Throws `pairing.closed` where no centre runs here, or `tls.unusable`. */
export async function pairingAddress(config: CloudConfig, nowMs: number): Promise<PairingAddress> {
  const { data, http, tls } = config;
  // Something with a certificate of its own stands before us.
  if (http.url !== undefined) return { at: hostOf(new URL(http.url)), pin: "system" };
  const running = readRun(data);
  if (running === null) {
    throw new PorchlightError("pairing.closed", "no centre runs here that could take the code", {
      exitCode: EXIT.failed,
      hint: "porchlight-cloud start first; or make a bundle: porchlight-cloud devices add NAME --out BUNDLE",
    });
  }
  const { port } = new URL(running.http);
  if (isLoopback(http.host)) return { at: `127.0.0.1:${port}`, pin: "loopback" };
  const identity = await openIdentity(config, nowMs);
  if (identity === null) return { at: `127.0.0.1:${port}`, pin: "loopback" };
  const host = advertisedHost(http.host, tls.names);
  const at = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return { at, pin: pinOf(new X509Certificate(identity.certificate).raw) };
}

function hostOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
