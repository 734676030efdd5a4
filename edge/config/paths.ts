/** Which files and folders follow from the configuration of a device. */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { KeyName, KeySources } from "../host/key-file.ts";
import type { SecretSources } from "../host/secret-file.ts";
import type { DeviceConfig } from "./schema.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const PREFIX = "PORCHLIGHT";

/** Where the units have it: systemd/porchlight-sync.service. */
const INSTALLED_DATA = "/var/lib/porchlight";
const INSTALLED_FEED = "/run/porchlight-feed/feed.sock";
const INSTALLED_STATUS = "/run/porchlight-sync/status.json";

/** The folder of the program: of dist/edge/config/paths.js as of edge/config/paths.ts. */
export function programFolder(): string {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  return root.endsWith("/dist") ? dirname(root) : root;
}

export function modelsFolder({ models }: DeviceConfig): string {
  return resolve(models.directory ?? join(programFolder(), ".cache/models"));
}

export function keySources(
  name: KeyName,
  config: DeviceConfig,
  environment: Environment,
): KeySources {
  const log = name === "log-key";
  return {
    credentialsDirectory: environment["CREDENTIALS_DIRECTORY"],
    environmentFile: environment[log ? `${PREFIX}_LOG_KEY_FILE` : `${PREFIX}_VAULT_KEY_FILE`],
    configuredFile: (log ? config.keys.log : config.keys.vault) ?? join(config.data, "keys", name),
  };
}

/** Where the way to the centre may be written down. */
export function bundleSources(config: DeviceConfig, environment: Environment): SecretSources {
  return {
    credentialsDirectory: environment["CREDENTIALS_DIRECTORY"],
    environmentFile: environment[`${PREFIX}_SYNC_BUNDLE_FILE`],
    configuredFile: bundlePath(config),
  };
}

/** Where `sync join` keeps the bundle, unless it becomes a credential. */
export function bundlePath({ data, sync }: DeviceConfig): string {
  return sync.bundle ?? join(data, "sync", "bundle.json");
}

/**
 * The site's public key, that keys are wrapped for: in the vault's folder, which the agent cannot
 * enter. Whoever could replace it could have everything released to themselves.
 */
export function siteKeyPath({ data }: DeviceConfig): string {
  return resolve(data, "vault", "site-key");
}

/** The site's public key that its acks are signed with; beside the other, for the same reason. */
export function signingKeyPath({ data }: Pick<DeviceConfig, "data">): string {
  return resolve(data, "vault", "site-signing-key");
}

/** Whoever holds it is the one daemon of this store. */
export function lockPath({ data }: Pick<DeviceConfig, "data">): string {
  return resolve(data, "lock");
}

/** Whether this is the store of the units. */
export function isInstalled({ data }: Pick<DeviceConfig, "data">): boolean {
  return resolve(data) === INSTALLED_DATA;
}

/** Where the daemon serves the agent. */
export function feedPath({ data, sync }: Pick<DeviceConfig, "data" | "sync">): string {
  if (sync.feed === undefined && isInstalled({ data })) return INSTALLED_FEED;
  return resolve(sync.feed ?? join(data, "feed", "feed.sock"));
}

/** The status file of the agent. */
export function syncStatusPath({ data, sync }: DeviceConfig): string {
  // Written with every ack: on an installed device into memory, not onto the card.
  if (sync.status === undefined && resolve(data) === INSTALLED_DATA) return INSTALLED_STATUS;
  return resolve(sync.status ?? join(data, "sync", "status.json"));
}

/**
 * Where the daemon answers its owner's commands: in the vault's folder, which its user alone may
 * enter. It hands out frames of the camera.
 */
export function ownerSocketPath({ data }: DeviceConfig): string {
  return resolve(data, "vault", "owner.sock");
}
