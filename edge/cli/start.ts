import { fileURLToPath } from "node:url";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { MEMORY_ENVIRONMENT } from "../host/memory-environment.ts";
import { runProgram } from "./run-program.ts";
import { type Verb, verb } from "./verb.ts";

export const start: Verb = verb({
  name: "start",
  summary: "watch the door: runs the daemon in this terminal until Ctrl-C",
  options: {},
  example: "porchlight start --config porchlight.yaml",
  operands: NO_OPERANDS,
  async run(invocation) {
    invocation.config();
    const main = fileURLToPath(new URL("../main.js", import.meta.url));
    return await runProgram(main, invocation, { environment: MEMORY_ENVIRONMENT });
  },
});
