import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { EXIT, type ExitCode } from "../../shared/errors.ts";
import { MEMORY_ENVIRONMENT } from "../memory.ts";
import type { Verb } from "./verb.ts";

export const start: Verb = {
  name: "start",
  usage: "",
  summary: "watch the door: runs the daemon in this terminal until Ctrl-C",
  options: {},
  optionHelp: {},
  example: "porchlight start --config porchlight.yaml",
  operands: { min: 0, max: 0 },
  async run({ config, configFile, values, environment }) {
    config();
    const main = fileURLToPath(new URL("../main.js", import.meta.url));
    const args = [main];
    if (configFile !== "") args.push("--config", configFile);
    if (typeof values["data"] === "string") args.push("--data", values["data"]);
    // The daemon is a program of its own, so that what runs here is what systemd runs.
    const child = spawn(process.execPath, args, {
      stdio: "inherit",
      env: { ...MEMORY_ENVIRONMENT, ...environment },
    });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGHUP", forward).on("SIGTERM", forward);
    return new Promise<ExitCode>((done, failed) => {
      child.once("error", failed);
      child.once("close", (code) => done(code === EXIT.ok ? EXIT.ok : code === 78 ? 78 : 1));
    }).finally(() => process.off("SIGHUP", forward).off("SIGTERM", forward));
  },
};
