/** Where the configuration of a centre comes from. */
import { existsSync, readFileSync } from "node:fs";
import { readConfig } from "../../shared/core/config.ts";
import type { Migrated } from "../../shared/core/config-migration.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import {
  type CloudConfig,
  CONFIG_MIGRATIONS,
  CONFIG_VERSION,
  cloudConfigSchema,
} from "./schema.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_CONFIG_FILE = "/etc/porchlight/porchlight-cloud.yaml";
const PREFIX = "PORCHLIGHT_CLOUD";
/** Variables that are read elsewhere and are not settings. */
const RESERVED = [`${PREFIX}_CONFIG`];

export interface ConfigRequest {
  /** Given by --config or $PORCHLIGHT_CLOUD_CONFIG; then it must exist. */
  readonly file: string | undefined;
  /** Given by --data. */
  readonly data: string | undefined;
  readonly environment: Environment;
  /** Called where the file has keys of an earlier version; it is read all the same. */
  readonly migrated?: (found: Migrated) => void;
}

/** Reads and checks the configuration. Without a file the defaults hold. */
export function loadConfig({ file, data, environment, migrated }: ConfigRequest): CloudConfig {
  const path = file ?? DEFAULT_CONFIG_FILE;
  if (file !== undefined && !existsSync(file)) {
    throw new PorchlightError("config.missing", `there is no configuration at ${file}`, {
      exitCode: EXIT.config,
      hint: "leave --config out for the defaults; see every setting: porchlight-cloud config schema",
    });
  }
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const config = readConfig(cloudConfigSchema, {
    file: path,
    text,
    environment,
    readFile: (secret) => readFileSync(secret, "utf8"),
    prefix: PREFIX,
    reserved: RESERVED,
    program: "porchlight-cloud",
    migrations: { steps: CONFIG_MIGRATIONS, newest: CONFIG_VERSION },
    migrated,
  });
  const { CREDENTIALS_DIRECTORY: credentialsDirectory } = environment;
  return {
    ...config,
    ...(data !== undefined && { data }),
    ...(credentialsDirectory !== undefined && { credentialsDirectory }),
  };
}
