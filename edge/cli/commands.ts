/** The command line of a device, as a table. */
import { text } from "../../shared/cli/options.ts";
import type { CommandTable } from "../../shared/cli/program.ts";
import type { Invocation } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export const COMMON_OPTIONS = {
  config: text(
    "FILE",
    "configuration (default: $PORCHLIGHT_CONFIG, /etc/porchlight/porchlight.yaml)",
  ),
  data: text("DIR", "folder of the store (overrides the configuration)"),
};

export const COMMANDS: CommandTable<Invocation, typeof COMMON_OPTIONS> = {
  name: "porchlight",
  about: "recognises who is at the door, on the device itself",
  firstSteps: "porchlight init, porchlight enroll <name> <photos…>, porchlight start",
  options: COMMON_OPTIONS,
  verbs: VERBS,
};
