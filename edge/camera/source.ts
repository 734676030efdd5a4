/** A restartable stream of bytes: a child process, or a socket. */
import { spawn } from "node:child_process";
import { createConnection } from "node:net";
import { PorchlightError } from "../../shared/core/errors.ts";

/** One run of a source. `data` is called until `closed` is; `stop` ends it for good. */
export interface RunningSource {
  stop(): Promise<void>;
}

export interface SourceEvents {
  data(chunk: Buffer): void;
  /** The run is over. `reason` is for a log line: it holds no URL and no password. */
  closed(reason: string): void;
}

export type StartSource = (events: SourceEvents) => RunningSource;

/** A process that was asked to end gets this long before it is killed. */
const KILL_AFTER_MS = 1_000;
/** What is kept of a child's last words: the last line is seldom the one that says what is wrong. */
const STDERR_CHARS = 800;
const STDERR_LINES = 3;

/**
 * Runs a program without a shell; its stdout are the bytes. `input` is what it finds on stdin: the
 * place for a secret, since other users can read a process's arguments.
 */
export function processSource(program: string, args: readonly string[], input = ""): StartSource {
  return ({ data, closed }) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    // A program that ends without reading its input is reported below, by its exit status.
    child.stdin.on("error", () => undefined).end(input);
    let lastWords = "";
    let failure: string | null = null;
    child.stdout.on("data", data);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-STDERR_CHARS);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      failure = error.code === "ENOENT" ? `${program} is not installed` : error.message;
    });
    const ended = new Promise<void>((resolve) => {
      child.on("close", (code, signal) => {
        const how = failure ?? `${program} ended (${signal ?? code})`;
        const words = wordsOf(lastWords);
        closed(words === "" ? how : `${how}: ${words}`);
        resolve();
      });
    });
    return {
      async stop() {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
        const killer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
        await ended;
        clearTimeout(killer);
      },
    };
  };
}

/** Reads a Unix socket. */
export function socketSource(path: string): StartSource {
  return ({ data, closed }) => {
    const socket = createConnection(path);
    let failure = "the socket was closed";
    socket.on("data", data);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      failure = `${path}: ${error.code ?? error.message}`;
    });
    const ended = new Promise<void>((resolve) => {
      socket.on("close", () => {
        closed(failure);
        resolve();
      });
    });
    return {
      async stop() {
        socket.destroy();
        await ended;
      },
    };
  };
}

/** The last lines that differ, on one. Without control characters: they end up in a terminal. */
function wordsOf(text: string): string {
  const lines = withoutUrls(text)
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/\p{Cc}/gu, " ").trim())
    .filter((line) => line !== "");
  return [...new Set(lines)].slice(-STDERR_LINES).join("; ");
}

/** Camera URLs carry passwords: none reaches a log. */
export function withoutUrls(text: string): string {
  return text.replaceAll(/[a-z][a-z0-9+.-]*:\/\/\S+/gi, "<url>");
}

/** The output of a program that ends by itself, no faster than it is read. Throws when it fails. */
export async function* readProcess(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let lastWords = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-STDERR_CHARS);
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", () => resolve(null));
    child.on("close", (code) => resolve(code));
  });
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  let finished = false;
  try {
    for await (const chunk of child.stdout) yield chunk;
    finished = true;
  } finally {
    if (!finished) kill();
    const code = await ended;
    signal.removeEventListener("abort", kill);
    if (finished && code !== 0 && !signal.aborted) {
      const message =
        code === null ? `${program} could not be started` : `${program}: ${wordsOf(lastWords)}`;
      const missing = `is it installed? apt-get install ${program}`;
      // biome-ignore lint/correctness/noUnsafeFinally: only when nothing else was thrown
      throw new PorchlightError("camera.program", message, {
        hint: code === null ? missing : "the file is damaged or no video: look at it with ffprobe",
      });
    }
  }
}
