import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../dist/edge/cli/porchlight.js", import.meta.url));
const DAEMON = fileURLToPath(new URL("../../dist/edge/main.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The environment of a user: no CI, no PORCHLIGHT_* of ours but the Node.js that is tested. */
export function userEnvironment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => name === "PORCHLIGHT_NODE" || (name !== "CI" && !name.startsWith("PORCHLIGHT_")),
  );
  return { ...Object.fromEntries(own), ...more };
}

/** Runs the built `porchlight` to its end. */
export function porchlight(
  args: readonly string[],
  more: Record<string, string> = {},
): Promise<Ran> {
  return collect(startPorchlight(args, more));
}

/** Starts the built `porchlight`. */
export function startPorchlight(
  args: readonly string[],
  more: Record<string, string> = {},
): ChildProcess {
  return start(PROGRAM, args, more);
}

/** Starts the built daemon. */
export function startDaemon(
  args: readonly string[],
  more: Record<string, string> = {},
): ChildProcess {
  return start(DAEMON, args, more);
}

function start(
  program: string,
  args: readonly string[],
  more: Record<string, string>,
): ChildProcess {
  return spawn(process.execPath, [program, ...args], {
    env: userEnvironment(more),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export function collect(child: ChildProcess): Promise<Ran> {
  let out = "";
  let err = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  return new Promise((done) => child.on("close", (code) => done({ code, out, err })));
}

/** The JSON a verb printed. */
export function json<T>(ran: Ran): T {
  if (ran.out.trim() === "") throw new Error(`nothing on stdout; stderr: ${ran.err}`);
  return JSON.parse(ran.out) as T; // a test says what it expects
}
