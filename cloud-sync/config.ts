/** The configuration of the central endpoint: its schema, and where it comes from. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { readConfig } from "../shared/core/config.ts";
import { EXIT, PorchlightError } from "../shared/core/errors.ts";
import { influxConfig, metricsConfig, objectsConfig, sinksConfig } from "./config-stores.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_CONFIG_FILE = "/etc/porchlight/porchlight-cloud.yaml";
const PREFIX = "PORCHLIGHT_CLOUD";
/** Variables that are read elsewhere and are not settings. */
const RESERVED = [`${PREFIX}_CONFIG`];

const databaseUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: "a database is named as postgres://user:password@host:port/name",
});

const brokerUrl = z
  .url({
    protocol: /^(mqtts?|wss?)$/,
    error: "a broker is named as mqtts://host:port (mqtt, mqtts, ws or wss)",
  })
  .refine((url) => new URL(url).password === "", {
    error: "a URL with a password ends up in logs: use mqtt.password",
  });

const httpUrl = z
  .url({ protocol: /^https?$/, error: "a server is named as https://host:port" })
  .refine((url) => new URL(url).password === "", {
    error: "a URL with a password ends up in logs",
  });

export const cloudConfigSchema = z.strictObject({
  data: z.string().default("./data").describe("folder of what the centre keeps by itself"),
  database: z
    .strictObject({
      url: databaseUrl
        .optional()
        .describe("PostgreSQL 15 or newer (default: one of our own in <data>/postgres)"),
      connections: z.int().min(2).max(100).default(10).describe("at the same time, at most"),
      statementTimeoutS: z
        .int()
        .min(1)
        .max(3_600)
        .default(30)
        .describe("a statement that takes longer is given up"),
    })
    .prefault({}),
  tls: z
    .strictObject({
      certificate: z
        .string()
        .optional()
        .describe("PEM file, with its chain (default: one of our own, made when it is needed)"),
      key: z.string().optional().describe("PEM file of its private key"),
      names: z
        .array(z.string().min(1))
        .default([])
        .describe("by which devices reach us, for a certificate of our own"),
    })
    .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
      error: "certificate and key go together",
    })
    .prefault({}),
  broker: z
    .strictObject({
      host: z
        .string()
        .default("127.0.0.1")
        .describe("where our own broker listens; with TLS, unless it is loopback"),
      port: z.int().min(0).max(65_535).default(1883).describe("0: any that is free"),
    })
    .prefault({}),
  http: z
    .strictObject({
      host: z
        .string()
        .default("127.0.0.1")
        .describe("where health and metrics are served; with TLS, unless it is loopback"),
      port: z.int().min(0).max(65_535).default(8480).describe("0: any that is free"),
      url: httpUrl
        .optional()
        .describe("as devices reach it, to bring objects (default: where it listens)"),
    })
    .prefault({}),
  devices: z
    .strictObject({
      url: brokerUrl
        .optional()
        .describe("of the broker, as devices reach it (default: mqtt.url, or our own broker)"),
      ca: z
        .string()
        .optional()
        .describe("PEM file of the authority that devices are to trust (default: our own)"),
    })
    .prefault({}),
  mqtt: z
    .strictObject({
      url: brokerUrl.optional().describe("a broker (default: one of our own)"),
      username: z.string().optional(),
      password: z.string().optional(),
      ca: z.string().optional().describe("PEM file of the authority behind its certificate"),
      certificate: z.string().optional().describe("PEM file of our own certificate"),
      key: z.string().optional().describe("PEM file of its private key"),
      connections: z.int().min(1).max(16).default(2).describe("that listen"),
    })
    .prefault({}),
  site: z
    .strictObject({
      key: z
        .string()
        .optional()
        .describe(
          "PEM file of the key that owners release to (default: <data>/keys/site.key, made at the first start); the same on every instance that runs sinks",
        ),
    })
    .prefault({}),
  objects: objectsConfig,
  influx: influxConfig,
  metrics: metricsConfig,
  sinks: sinksConfig,
  log: z
    .strictObject({ level: z.enum(["debug", "info", "warn", "error"]).default("info") })
    .prefault({}),
});

export type CloudConfig = z.infer<typeof cloudConfigSchema>;

export interface ConfigRequest {
  /** Given by --config or $PORCHLIGHT_CLOUD_CONFIG; then it must exist. */
  readonly file: string | undefined;
  /** Given by --data. */
  readonly data: string | undefined;
  readonly environment: Environment;
}

/** Reads and checks the configuration. Without a file the defaults hold. */
export function loadConfig({ file, data, environment }: ConfigRequest): CloudConfig {
  const path = file ?? DEFAULT_CONFIG_FILE;
  if (file !== undefined && !existsSync(file)) {
    throw new PorchlightError("config.missing", `there is no configuration at ${file}`, {
      exitCode: EXIT.config,
      hint: "leave --config out for the defaults; see every setting: porchlight-cloud config schema",
    });
  }
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const program = "porchlight-cloud";
  const source = { file: path, text, environment, prefix: PREFIX, reserved: RESERVED, program };
  const config = readConfig(cloudConfigSchema, source);
  return data === undefined ? config : { ...config, data };
}

/** Whether only this machine can reach a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Where a PostgreSQL of our own has its folder. */
export function databaseFolder({ data }: CloudConfig): string {
  return join(resolve(data), "postgres");
}
