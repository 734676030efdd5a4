/** The command line of the centre, as a table. */
import { text } from "../../shared/cli/options.ts";
import type { CommandTable } from "../../shared/cli/program.ts";
import { DEFAULT_CONFIG_FILE } from "../config/load.ts";
import type { Invocation } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export const COMMON_OPTIONS = {
  config: text("FILE", `configuration (default: $PORCHLIGHT_CLOUD_CONFIG, ${DEFAULT_CONFIG_FILE})`),
  data: text("DIR", "folder of what the centre keeps by itself (overrides the configuration)"),
};

export const COMMANDS: CommandTable<Invocation, typeof COMMON_OPTIONS> = {
  name: "porchlight-cloud",
  about: "the centre that porchlight devices send their logs to",
  firstSteps: "porchlight-cloud start, porchlight-cloud devices add <id> --out BUNDLE",
  options: COMMON_OPTIONS,
  verbs: VERBS,
};
