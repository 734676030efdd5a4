import { existsSync, readFileSync } from "node:fs";
import * as shared from "../../shared/cli/config-verbs.ts";
import { DEFAULT_CONFIG_FILE } from "../config/load.ts";
import { CONFIG_MIGRATIONS, CONFIG_VERSION, cloudConfigSchema } from "../config/schema.ts";
import { copyOnce, rewriteFile } from "../host/atomic-file.ts";
import type { Invocation, Verb } from "./verb.ts";

const OF = {
  program: "porchlight-cloud",
  schema: cloudConfigSchema,
  defaultFile: DEFAULT_CONFIG_FILE,
  file: "porchlight-cloud.yaml",
  migrations: { steps: CONFIG_MIGRATIONS, newest: CONFIG_VERSION },
  files: {
    read: (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : null),
    rewrite: rewriteFile,
    copy: copyOnce,
  },
};

export const configCheck: Verb = shared.configCheck<Invocation>(OF);
export const configMigrate: Verb = shared.configMigrate<Invocation>(OF);
export const configSchema: Verb = shared.configSchema<Invocation>(OF);
