import { spawn } from "node:child_process";
import { EXIT, type ExitCode } from "../../shared/core/errors.ts";
import type { Invocation } from "./verb.ts";

/**
 * Runs a long-lived program of ours in this terminal, as systemd would: a process of its own, with
 * this verb's configuration. Signals are passed on; its exit code is the verb's.
 */
export async function runProgram(
  program: string,
  { configFile, data, environment }: Invocation,
  more: { readonly args?: readonly string[]; readonly environment?: Record<string, string> } = {},
): Promise<ExitCode> {
  const args = [program];
  if (configFile !== "") args.push("--config", configFile);
  if (data !== undefined) args.push("--data", data);
  const child = spawn(process.execPath, [...args, ...(more.args ?? [])], {
    // The channel says nothing but that this process lives: killed, it leaves no program behind.
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...more.environment, ...environment },
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  // A terminal sends Ctrl-C to the child as well: this process only waits for its end.
  const wait = (): void => undefined;
  process.on("SIGHUP", forward).on("SIGTERM", forward).on("SIGINT", wait);
  return new Promise<ExitCode>((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => {
      done(code === EXIT.ok || code === EXIT.config ? code : EXIT.failed);
    });
  }).finally(() => {
    process.off("SIGHUP", forward).off("SIGTERM", forward).off("SIGINT", wait);
  });
}
