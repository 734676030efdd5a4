import * as shared from "../../shared/cli/config-verbs.ts";
import { cloudConfigSchema, DEFAULT_CONFIG_FILE } from "../config.ts";
import type { Invocation, Verb } from "./verb.ts";

const OF = {
  program: "porchlight-cloud",
  schema: cloudConfigSchema,
  defaultFile: DEFAULT_CONFIG_FILE,
  file: "porchlight-cloud.yaml",
};

export const configCheck: Verb = shared.configCheck<Invocation>(OF);
export const configSchema: Verb = shared.configSchema<Invocation>(OF);
