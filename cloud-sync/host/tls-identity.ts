/** The centre's TLS identity: certificates that were configured, or its own. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { CloudConfig } from "../config/schema.ts";
import { isLoopback, ownNames } from "./addresses.ts";
import { ensureIdentity, type ServerIdentity } from "./certificate-authority.ts";

export interface Identity extends Pick<ServerIdentity, "certificate" | "key"> {
  /** PEM of the authority that devices are to trust; null: the one that their system knows. */
  readonly authority: string | null;
}

/** Null for loopback alone. Throws `tls.unusable`. */
export async function openIdentity(config: CloudConfig, nowMs: number): Promise<Identity | null> {
  const { tls, broker, http, mqtt } = config;
  if (tls.certificate !== undefined && tls.key !== undefined) {
    const [certificate, key] = [read(tls.certificate), read(tls.key)];
    return { certificate, key, authority: null };
  }
  const open = [http.host, ...(mqtt.url === undefined ? [broker.host] : [])];
  if (open.every(isLoopback)) return null;
  const names = tls.names.length > 0 ? tls.names : ownNames();
  return await ensureIdentity({ folder: join(resolve(config.data), "tls"), names, nowMs });
}

function read(path: string): string {
  return readFileSync(path, "utf8");
}
