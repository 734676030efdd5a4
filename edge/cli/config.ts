import * as shared from "../../shared/cli/config-verbs.ts";
import { DEFAULT_CONFIG_FILE, deviceConfigSchema } from "../config.ts";
import type { Invocation, Verb } from "./verb.ts";

const OF = {
  program: "porchlight",
  schema: deviceConfigSchema,
  defaultFile: DEFAULT_CONFIG_FILE,
  file: "porchlight.yaml",
};

export const configCheck: Verb = shared.configCheck<Invocation>(OF);
export const configSchema: Verb = shared.configSchema<Invocation>(OF);
