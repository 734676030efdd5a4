/** The configuration of a device: its schema, where it comes from, and what follows from it. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { canonicalJson } from "../shared/chain.ts";
import type { Clock } from "../shared/clock.ts";
import { readConfig, type Setting, settingsOf } from "../shared/config.ts";
import { PERSONAL_CLASSES } from "../shared/entry.ts";
import { EXIT, PorchlightError } from "../shared/errors.ts";
import { cameraConfigSchema } from "./camera/config.ts";
import { buttonConfigSchema } from "./doorbell/button.ts";
import { clockState } from "./log/clock-state.ts";
import { mediaConfigSchema } from "./media/config.ts";
import type { LogOptions } from "./open-log.ts";
import type { StoreOptions } from "./open-store.ts";
import { type KeyName, type KeySources, readKey } from "./store/key-file.ts";
import type { BundleSources } from "./sync/bundle-file.ts";
import { PROVIDERS } from "./vision/session.ts";
import type { VisionOptions } from "./vision/vision.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of the program: of dist/edge/config.js as of edge/config.ts. */
export function programFolder(): string {
  const parent = dirname(dirname(fileURLToPath(import.meta.url)));
  return parent.endsWith("/dist") ? dirname(parent) : parent;
}

export const DEFAULT_CONFIG_FILE = "/etc/porchlight/porchlight.yaml";
const PREFIX = "PORCHLIGHT";
/** Variables that are read elsewhere and are not settings. */
const RESERVED = [
  "CONFIG",
  "LOG_KEY_FILE",
  "VAULT_KEY_FILE",
  "SYNC_BUNDLE_FILE",
  "NODE",
  "CLOUD_",
].map((name) => `${PREFIX}_${name}`);

/** Where the units have it: systemd/porchlight-sync.service. */
const INSTALLED_DATA = "/var/lib/porchlight";
const INSTALLED_STATUS = "/run/porchlight-sync/status.json";

const fraction = z.number().min(0).max(1);

export const deviceConfigSchema = z.strictObject({
  data: z.string().default("./data").describe("folder of the store"),
  keys: z
    .strictObject({
      log: z.string().optional().describe("key file of log.db (default: <data>/keys/log-key)"),
      vault: z
        .string()
        .optional()
        .describe("key file of vault.db (default: <data>/keys/vault-key)"),
    })
    .prefault({}),
  clock: z.enum(["detect", "trust"]).default("detect").describe("whether the clock is known good"),
  camera: cameraConfigSchema.optional(),
  button: buttonConfigSchema.optional(),
  models: z
    .strictObject({
      directory: z.string().optional().describe("folder of the model packs"),
      pack: z.string().default("default").describe("the pack in use"),
      threads: z.int().min(1).max(16).default(2),
      provider: z.enum(PROVIDERS).default("cpu").describe("ONNX Runtime execution provider"),
    })
    .prefault({}),
  recognition: z
    .strictObject({
      match: fraction.optional().describe("similarity of the same person (default: the pack's)"),
      margin: fraction.optional().describe("lead over the next person (default: the pack's)"),
      maxSidePx: z.int().min(160).max(4096).default(1280).describe("frames are shrunk to this"),
      absentMs: z.int().min(200).max(60_000).default(3_000).describe("a visit ends after this"),
      decideAfterMs: z
        .int()
        .min(0)
        .max(10_000)
        .default(1_000)
        .describe("a decision waits this long"),
    })
    .prefault({}),
  media: mediaConfigSchema,
  telemetry: z.strictObject({ intervalS: z.int().min(1).max(86_400).default(60) }).prefault({}),
  buffer: z
    .strictObject({
      maxMiB: z
        .int()
        .min(16)
        .max(1_048_576)
        .default(512)
        .describe("log.db stays within this, as far as something may be given up"),
      maxDays: z
        .int()
        .min(1)
        .max(36_500)
        .default(90)
        .describe("what may be given up is, when it is older than this"),
      shed: z
        .array(z.enum(["telemetry", "media"]))
        .default(["telemetry", "media"])
        .describe("what may be given up, in this order; visits, presses and people never are"),
      wearMiBPerDay: z
        .int()
        .min(1)
        .max(1_048_576)
        .default(512)
        .describe("a warning says when the store writes more than this to the card"),
    })
    .prefault({}),
  sync: z
    .strictObject({
      bundle: z
        .string()
        .optional()
        .describe("the way to the centre, from `sync join` (default: <data>/sync/bundle.json)"),
      status: z
        .string()
        .optional()
        .describe(
          `where the agent says how it fares (default: <data>/sync/status.json, installed ${INSTALLED_STATUS})`,
        ),
      live: z
        .strictObject({
          names: z
            .boolean()
            .default(false)
            .describe("tell names to the centre, in clear, when somebody was recognised"),
        })
        .prefault({}),
      release: z
        .array(z.enum(PERSONAL_CLASSES))
        .default([])
        .describe("what the centre may open: names, faces, snapshots; nothing unless it is here"),
    })
    .prefault({}),
  log: z
    .strictObject({ level: z.enum(["debug", "info", "warn", "error"]).default("info") })
    .prefault({}),
});

export type DeviceConfig = z.infer<typeof deviceConfigSchema>;

export interface ConfigRequest {
  /** Given by --config or $PORCHLIGHT_CONFIG; then it must exist. */
  readonly file: string | undefined;
  /** Given by --data. */
  readonly data: string | undefined;
  readonly environment: Environment;
}

/** Reads and checks the configuration. Without a file the defaults hold. */
export function loadConfig({ file, data, environment }: ConfigRequest): DeviceConfig {
  const path = file ?? DEFAULT_CONFIG_FILE;
  if (file !== undefined && !existsSync(file)) {
    throw new PorchlightError("config.missing", `there is no configuration at ${file}`, {
      exitCode: EXIT.config,
      hint: "write one: porchlight init --config FILE; see every setting: porchlight config schema",
    });
  }
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const program = "porchlight";
  const source = { file: path, text, environment, prefix: PREFIX, reserved: RESERVED, program };
  const config = readConfig(deviceConfigSchema, source);
  return data === undefined ? config : { ...config, data };
}

export function modelsFolder({ models }: DeviceConfig): string {
  return resolve(models.directory ?? join(programFolder(), ".cache/models"));
}

/** The pack in use and how it is to be run. */
export function visionOptions(config: DeviceConfig): Omit<VisionOptions, "logger"> {
  const { pack, threads, provider } = config.models;
  return { packFolder: join(modelsFolder(config), pack), threads, provider };
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
export function bundleSources(config: DeviceConfig, environment: Environment): BundleSources {
  return {
    credentialsDirectory: environment["CREDENTIALS_DIRECTORY"],
    environmentFile: environment[`${PREFIX}_SYNC_BUNDLE_FILE`],
    configuredFile: config.sync.bundle ?? join(config.data, "sync", "bundle.json"),
  };
}

/**
 * Where the public key of the site lies, for whom keys are wrapped: beside the vault, into whose
 * folder the agent cannot enter. Who could change it, could have everything released to themselves.
 */
export function siteKeyPath({ data }: DeviceConfig): string {
  return resolve(data, "vault", "site-key");
}

/** Where the agent says how it fares. */
export function syncStatusPath({ data, sync }: DeviceConfig): string {
  // Written with every ack: on an installed device into memory, not onto the card.
  if (sync.status === undefined && resolve(data) === INSTALLED_DATA) return INSTALLED_STATUS;
  return resolve(sync.status ?? join(data, "sync", "status.json"));
}

/** What it takes to open the log; the vault stays closed. */
export function logOptions(
  config: DeviceConfig,
  environment: Environment,
  clock: Clock,
  newId: () => string,
): LogOptions {
  return {
    folder: resolve(config.data),
    logKey: readKey("log-key", keySources("log-key", config, environment)),
    clock,
    clockState: (nowMs) => clockState(config.clock, nowMs),
    newId,
  };
}

export function storeOptions(...request: Parameters<typeof logOptions>): StoreOptions {
  const [config, environment] = request;
  const vaultKey = readKey("vault-key", keySources("vault-key", config, environment));
  return { ...logOptions(...request), vaultKey, liveNames: config.sync.live.names };
}

/** The settings in force and their digest: what `config.applied` records. */
export function appliedOf(config: DeviceConfig): {
  readonly sha256: string;
  readonly settings: Record<string, Setting>;
} {
  const settings = settingsOf(config);
  return { sha256: createHash("sha256").update(canonicalJson(settings)).digest("hex"), settings };
}
