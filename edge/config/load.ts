/** Where the configuration of a device comes from. */
import { isUtf8 } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, isAbsolute, resolve } from "node:path";
import { readConfig } from "../../shared/core/config.ts";
import type { Migrated } from "../../shared/core/config-migration.ts";
import { EXIT, messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
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
  const text = existsSync(path) ? readText(path) : "";
  const config = readConfig(deviceConfigSchema, {
    file: path,
    text,
    environment,
    readFile: (secret) => readFileSync(secret, "utf8"),
    prefix: PREFIX,
    reserved: RESERVED,
    program: "porchlight",
    migrations: { steps: CONFIG_MIGRATIONS, newest: CONFIG_VERSION },
    migrated,
  });
  if (data !== undefined) return withStallTimeout({ ...config, data });
  // Whatever the current folder is: the same file means the same store.
  const own = /^data[ \t]*:/m.test(text) && environment[`${PREFIX}_DATA`] === undefined;
  if (!own || isAbsolute(config.data)) return withStallTimeout(config);
  return withStallTimeout({ ...config, data: resolve(dirname(path), config.data) });
}

/** Throws `config.unreadable`. */
function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = systemCodeOf(cause);
    if (code === "EISDIR") throw unreadable(path, "it is a folder", "name the file in it", cause);
    const { username } = userInfo();
    const denied = code === "EACCES" || code === "EPERM";
    const reason = denied ? `user ${username} may not read it` : messageOf(cause);
    throw unreadable(path, reason, `let them read it: chmod o+r ${path}; or: ls -l ${path}`, cause);
  }
  // Notepad's "Unicode": FF FE or FE FF before the text.
  if (["fffe", "feff"].includes(bytes.toString("hex", 0, 2))) {
    throw unreadable(path, "it is UTF-16", "save it as UTF-8, or: iconv -f UTF-16 -t UTF-8");
  }
  if (isUtf8(bytes) && !bytes.includes(0)) return bytes.toString("utf8");
  throw unreadable(path, "it is no text in UTF-8", `see what it is: file ${path}`);
}

function unreadable(path: string, reason: string, hint: string, cause?: unknown): PorchlightError {
  const words = `the configuration ${path} cannot be read: ${reason}`;
  return new PorchlightError("config.unreadable", words, { exitCode: EXIT.config, hint, cause });
}
