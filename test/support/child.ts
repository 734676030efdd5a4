import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { TestStore } from "./store.ts";
import type { WriteOrder } from "./store-process.ts";

const STORE_PROCESS = fileURLToPath(new URL("./store-process.ts", import.meta.url));

/** A process of test/support/store-process.ts. */
export interface Child {
  readonly process: ChildProcess;
  /** What it has said so far, line by line. */
  readonly lines: readonly string[];
  /** Resolves when it waits for `go`. */
  readonly ready: Promise<void>;
  go(): void;
  /** Ends what it reads. */
  finish(): void;
  /** Its end: exit code or signal, and what it said on standard error. */
  readonly ended: Promise<{ readonly code: number | string; readonly err: string }>;
}

/** Starts a process that waits until `go`; `before` is put in front of its command line. */
export function storeProcess(
  command: string,
  order: object,
  before: readonly string[] = [],
): Child {
  const [program = "", ...args] = [
    ...before,
    process.execPath,
    STORE_PROCESS,
    command,
    JSON.stringify(order),
  ];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const lines: string[] = [];
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ready = new Promise<void>((done, failed) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "ready") done();
      else lines.push(line);
    });
    child.once("close", () => failed(new Error(`it ended before it was ready: ${err}`)));
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code: code ?? signal, err }));
  const go = (): void => void child.stdin.write("go\n");
  return { process: child, lines, ready, go, finish: () => void child.stdin.end(), ended };
}

/** The order for a process that writes to this store: 64 hex digits a key, as WriteOrder says. */
export function writeOrder(
  { options: { folder, logKey, vaultKey } }: TestStore,
  manner: WriteOrder["manner"],
  rounds: number | null = null,
): WriteOrder {
  const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
  const keys = { logKey: hex(logKey), vaultKey: hex(vaultKey) };
  return { folder, ...keys, manner, rounds };
}
