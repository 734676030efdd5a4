/**
 * The configuration of a centre: one slice a room, each in the folder of the code that it is for.
 */
import { z } from "zod";
import type { ConfigMigration } from "../../shared/core/config-migration.ts";
import { setting } from "../../shared/core/setting.ts";
import { backupConfig } from "../backup/config.ts";
import { fairnessConfig } from "../fairness/config.ts";
import { tlsConfig } from "../host/config.ts";
import { httpConfig } from "../http/config.ts";
import { siteConfig } from "../keyring/config.ts";
import {
  advertisedBrokerConfig,
  embeddedBrokerConfig,
  externalBrokerConfig,
} from "../mqtt/config.ts";
import { objectsConfig } from "../objects/config.ts";
import { databaseConfig } from "../postgres/config.ts";
import { sinkConfigs } from "../sinks/config.ts";

/** Of this schema: goes up by one with every migration. */
export const CONFIG_VERSION = 1;

/** Keys that were called otherwise once. Never changed after a release: only added to. */
export const CONFIG_MIGRATIONS: readonly ConfigMigration[] = [];

export const cloudConfigSchema = z.strictObject({
  version: z
    .literal(CONFIG_VERSION)
    .default(CONFIG_VERSION)
    .meta(setting("Version", "of this file; an older one is read all the same")),
  data: z
    .string()
    .default("./data")
    .meta(setting("Data folder", "folder of what the centre keeps by itself")),
  database: databaseConfig,
  tls: tlsConfig,
  broker: embeddedBrokerConfig,
  http: httpConfig,
  fairness: fairnessConfig,
  devices: advertisedBrokerConfig,
  mqtt: externalBrokerConfig,
  site: siteConfig,
  objects: objectsConfig,
  backup: backupConfig,
  ...sinkConfigs,
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error"])
        .default("info")
        .meta(setting("Log level", "least severe messages of the program's own log")),
    })
    .prefault({}),
});

export type CloudConfig = z.infer<typeof cloudConfigSchema> & {
  /** `$CREDENTIALS_DIRECTORY`: of the process, not of the file. */
  readonly credentialsDirectory?: string;
};
