import { existsSync, readFileSync } from "node:fs";
import * as shared from "../../shared/cli/config-verbs.ts";
import { DEFAULT_CONFIG_FILE } from "../config/load.ts";
import { CONFIG_MIGRATIONS, CONFIG_VERSION, deviceConfigSchema } from "../config/schema.ts";
import { copyOnce, rewriteFile } from "../host/atomic-file.ts";
import { packThresholdProblems } from "./pack-thresholds.ts";
import type { Invocation, Verb } from "./verb.ts";

const OF = {
  program: "porchlight",
  schema: deviceConfigSchema,
  defaultFile: DEFAULT_CONFIG_FILE,
  file: "porchlight.yaml",
  migrations: { steps: CONFIG_MIGRATIONS, newest: CONFIG_VERSION },
  problems: (config: object) => packThresholdProblems(deviceConfigSchema.parse(config)),
  files: {
    read: (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : null),
    rewrite: rewriteFile,
    copy: copyOnce,
  },
};

export const configCheck: Verb = shared.configCheck<Invocation>(OF);
export const configMigrate: Verb = shared.configMigrate<Invocation>(OF);
export const configSchema: Verb = shared.configSchema<Invocation>(OF);
