/** The centre's TLS identity: certificates that were configured, or its own. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { CloudConfig } from "../config/schema.ts";
import { isLoopback, ownNames } from "./addresses.ts";
import { ensureIdentity, type ServerIdentity } from "./certificate-authority.ts";
import { readSecret } from "./secret-file.ts";

export interface Identity extends Pick<ServerIdentity, "certificate" | "key"> {
  /** PEM of the authority that devices are to trust; null: the one that their system knows. */
  readonly authority: string | null;
}

const TLS_KEY = {
  credential: "tls-key",
  code: "tls.key",
  missing: "there is no private key for tls.certificate",
  hint: "name its PEM file with tls.key: porchlight-cloud config schema",
  groupReads: true,
} as const;

/** Null for loopback alone. Throws `tls.unusable`. */
export async function openIdentity(config: CloudConfig, nowMs: number): Promise<Identity | null> {
  const { tls, broker, http, mqtt } = config;
  if (tls.certificate !== undefined && tls.key !== undefined) {
    const key = readSecret(TLS_KEY, { ...config, configuredFile: tls.key }).toString("utf8");
    return { certificate: readFileSync(tls.certificate, "utf8"), key, authority: null };
  }
  const open = [http.host, ...(mqtt.url === undefined ? [broker.host] : [])];
  if (open.every(isLoopback)) return null;
  const names = tls.names.length > 0 ? tls.names : ownNames();
  return await ensureIdentity({ folder: join(resolve(config.data), "tls"), names, nowMs });
}
