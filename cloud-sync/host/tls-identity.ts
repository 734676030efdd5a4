/** The centre's TLS identity: certificates that were configured, or its own. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
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
export async function openIdentity(
  config: CloudConfig,
  nowMs: number,
  logger?: Logger,
): Promise<Identity | null> {
  const { tls, broker, http, mqtt } = config;
  if (tls.certificate !== undefined && tls.key !== undefined) {
    const key = readSecret(TLS_KEY, { ...config, configuredFile: tls.key }).toString("utf8");
    return { ...namedPair(tls.certificate, key), authority: null };
  }
  const open = [http.host, ...(mqtt.url === undefined ? [broker.host] : [])];
  if (open.every(isLoopback)) return null;
  const names = tls.names.length > 0 ? tls.names : ownNames();
  return await ensureIdentity({ folder: join(resolve(config.data), "tls"), names, nowMs, logger });
}

function namedPair(file: string, key: string): Pick<Identity, "certificate" | "key"> {
  try {
    const certificate = readFileSync(file, "utf8");
    createSecureContext({ cert: certificate, key });
    return { certificate, key };
  } catch (cause) {
    const text = `the certificate ${file} cannot be used: ${messageOf(cause)}`;
    throw new PorchlightError("tls.unusable", text, {
      exitCode: EXIT.config,
      hint: "tls.certificate and tls.key are PEM files that belong together: openssl x509 -noout -text -in FILE",
      cause,
    });
  }
}
