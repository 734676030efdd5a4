/** The options that each room is opened with, from the configuration. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import type { Clock } from "../../shared/core/clock.ts";
import { type Setting, settingsOf } from "../../shared/core/config.ts";
import { canonicalJson } from "../../shared/log/chain.ts";
import type { Entry } from "../../shared/log/entry.ts";
import { clockState } from "../host/clock-state.ts";
import { readKey } from "../host/key-file.ts";
import type { Provider } from "../vision/config.ts";
import { type Environment, keySources, modelsFolder } from "./paths.ts";
import type { DeviceConfig } from "./schema.ts";

interface LogSettings {
  readonly folder: string;
  readonly logKey: Uint8Array;
  readonly clock: Clock;
  readonly clockState: (nowMs: number) => Entry["clock"];
  readonly newId: () => string;
}

interface StoreSettings extends LogSettings {
  readonly vaultKey: Uint8Array;
  readonly liveNames: boolean;
}

/** The pack in use and how it is to be run. */
export function visionOptions(config: DeviceConfig): {
  readonly packFolder: string;
  readonly threads: number;
  readonly provider: Provider;
} {
  const { pack, threads, provider } = config.models;
  return { packFolder: join(modelsFolder(config), pack), threads, provider };
}

/** What it takes to open the log; the vault stays closed. */
export function logOptions(
  config: DeviceConfig,
  environment: Environment,
  clock: Clock,
  newId: () => string,
): LogSettings {
  return {
    folder: resolve(config.data),
    logKey: readKey("log-key", keySources("log-key", config, environment)),
    clock,
    clockState: (nowMs) => clockState(config.clock, nowMs),
    newId,
  };
}

export function storeOptions(...request: Parameters<typeof logOptions>): StoreSettings {
  const [config, environment] = request;
  const vaultKey = readKey("vault-key", keySources("vault-key", config, environment));
  return { ...logOptions(...request), vaultKey, liveNames: config.sync.live.names };
}

/** A path that an owner has chosen: it may name a person, and the log goes to the centre. */
const OWN_PATH = /^(?!\/dev\/).*\//;

/**
 * The settings in force and their digest: what `config.applied` records. Owner's paths are in the
 * digest alone.
 */
export function appliedOf(config: DeviceConfig): {
  readonly sha256: string;
  readonly settings: Record<string, Setting>;
} {
  const settings = settingsOf(config);
  const sha256 = createHash("sha256").update(canonicalJson(settings)).digest("hex");
  const shown = Object.entries(settings).map(([key, value]): [string, Setting] => {
    const path = key.startsWith("camera.paths.") || OWN_PATH.test(String(value));
    return [key, path ? "(path)" : value];
  });
  return { sha256, settings: Object.fromEntries(shown) };
}
