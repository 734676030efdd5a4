import { fileURLToPath } from "node:url";
import { MEMORY_ENVIRONMENT } from "../host/memory-environment.ts";
import { runProgram } from "./run-program.ts";
import type { Verb } from "./verb.ts";

export const start: Verb = {
  name: "start",
  usage: "",
  summary: "watch the door: runs the daemon in this terminal until Ctrl-C",
  options: {},
  optionHelp: {},
  example: "porchlight start --config porchlight.yaml",
  operands: { min: 0, max: 0 },
  async run(invocation) {
    invocation.config();
    const main = fileURLToPath(new URL("../main.js", import.meta.url));
    return await runProgram(main, invocation, { environment: MEMORY_ENVIRONMENT });
  },
};
