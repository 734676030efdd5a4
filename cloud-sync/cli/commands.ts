/** The command line of the centre, as a table. */
import type { CommandTable } from "../../shared/cli/program.ts";
import { DEFAULT_CONFIG_FILE } from "../config/load.ts";
import type { Invocation } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export const COMMANDS: CommandTable<Invocation> = {
  name: "porchlight-cloud",
  about: "the centre that porchlight devices send their logs to",
  firstSteps: "porchlight-cloud start, porchlight-cloud devices add <id> --out BUNDLE",
  options: { config: { type: "string" }, data: { type: "string" } },
  optionHelp: {
    "--config FILE": `configuration (default: $PORCHLIGHT_CLOUD_CONFIG, ${DEFAULT_CONFIG_FILE})`,
    "--data DIR": "folder of what the centre keeps by itself (overrides the configuration)",
  },
  verbs: VERBS,
};
