/** Where the configuration of a device comes from. */
import { existsSync, readFileSync } from "node:fs";
import { readConfig } from "../../shared/core/config.ts";
import type { Migrated } from "../../shared/core/config-migration.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { type Environment, PREFIX } from "./paths.ts";
import {
  CONFIG_MIGRATIONS,
  CONFIG_VERSION,
  type DeviceConfig,
  deviceConfigSchema,
} from "./schema.ts";
import { withStallTimeout } from "./times.ts";

export const DEFAULT_CONFIG_FILE = "/etc/porchlight/porchlight.yaml";
/** Variables that are read elsewhere and are not settings. */
const RESERVED = [
  "CONFIG",
  "NODE",
  "LOG_KEY_FILE",
  "VAULT_KEY_FILE",
  "SYNC_BUNDLE_FILE",
  "CLOUD_",
].map((name) => `${PREFIX}_${name}`);

export interface ConfigRequest {
  /** Given by --config or $PORCHLIGHT_CONFIG; then it must exist. */
  readonly file: string | undefined;
  /** Given by --data. */
  readonly data: string | undefined;
  readonly environment: Environment;
  /** Called where the file has keys of an earlier version; it is read all the same. */
  readonly migrated?: (found: Migrated) => void;
}

/** Reads and checks the configuration. Without a file the defaults hold. */
export function loadConfig({ file, data, environment, migrated }: ConfigRequest): DeviceConfig {
  const path = file ?? DEFAULT_CONFIG_FILE;
  if (file !== undefined && !existsSync(file)) {
    throw new PorchlightError("config.missing", `there is no configuration at ${file}`, {
      exitCode: EXIT.config,
      hint: "write one: porchlight init --config FILE; see every setting: porchlight config schema",
    });
  }
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const config = readConfig(deviceConfigSchema, {
    file: path,
    text,
    environment,
    prefix: PREFIX,
    reserved: RESERVED,
    program: "porchlight",
    migrations: { steps: CONFIG_MIGRATIONS, newest: CONFIG_VERSION },
    migrated,
  });
  return withStallTimeout(data === undefined ? config : { ...config, data });
}
