/** The command line of a device, as a table. */
import type { CommandTable } from "../../shared/cli/program.ts";
import type { Invocation } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export const COMMANDS: CommandTable<Invocation> = {
  name: "porchlight",
  about: "knows who is at the door, on the device itself",
  firstSteps: "porchlight init, porchlight enroll <name> <photos…>, porchlight start",
  options: { config: { type: "string" }, data: { type: "string" } },
  optionHelp: {
    "--config FILE": "configuration (default: $PORCHLIGHT_CONFIG, /etc/porchlight/porchlight.yaml)",
    "--data DIR": "folder of the store (overrides the configuration)",
  },
  verbs: VERBS,
};
