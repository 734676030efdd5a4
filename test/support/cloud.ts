import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { collect, type Ran, userEnvironment } from "./cli.ts";

const PROGRAM = fileURLToPath(
  new URL("../../dist/cloud-sync/cli/porchlight-cloud.js", import.meta.url),
);

const COMMAND = [process.execPath, PROGRAM];

/** Runs the built `porchlight-cloud`, or another one, to its end. */
export function porchlightCloud(
  args: readonly string[],
  more: Record<string, string> = {},
  command: readonly string[] = COMMAND,
): Promise<Ran> {
  return collect(spawnCloud(args, more, command));
}

function spawnCloud(
  args: readonly string[],
  more: Record<string, string>,
  [program = "", ...words]: readonly string[],
): ChildProcess {
  return spawn(program, [...words, ...args], {
    env: userEnvironment(more),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A centre in a process of its own. */
export interface CentreProcess {
  readonly child: ChildProcess;
  /** What it said when it was ready. */
  readonly ready: {
    readonly database: string;
    readonly mqtt: string;
    readonly http: string;
    readonly metrics: string;
  };
  /** Standard output so far, line by line. */
  readonly lines: readonly string[];
  /** What it said on standard error so far. */
  err(): string;
  /** Asks it to end; its exit code. */
  stop(): Promise<number | null>;
}

/** Starts `porchlight-cloud start` on free ports, and waits until it is ready. */
export async function startCentre(
  args: readonly string[],
  more: Record<string, string> = {},
  command: readonly string[] = COMMAND,
): Promise<CentreProcess> {
  const ports = { PORCHLIGHT_CLOUD_BROKER_PORT: "0", PORCHLIGHT_CLOUD_HTTP_PORT: "0" };
  const child = spawnCloud(["start", ...args], { ...ports, ...more }, command);
  const lines: string[] = [];
  let err = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = once(child, "close");
  const first = new Promise<string>((done, failed) => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      done(line);
    });
    child.once("close", (code) => failed(new Error(`it ended with ${code}: ${err}`)));
  });
  return {
    child,
    ready: JSON.parse(await first),
    lines,
    err: () => err,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      return code;
    },
  };
}
