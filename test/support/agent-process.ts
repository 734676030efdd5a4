import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { userEnvironment } from "./cli.ts";
import { startTestFeed } from "./feed.ts";
import type { TestStore } from "./store.ts";

const AGENT = fileURLToPath(new URL("../../dist/edge/agent/main.js", import.meta.url));
const CLI = fileURLToPath(new URL("../../dist/edge/cli/porchlight.js", import.meta.url));

/** The built agent in a process of its own. */
export interface AgentProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  /** Everything it has said. */
  said(): string;
  stop(): Promise<void>;
}

/**
 * As its unit runs it, beside a feed as the daemon serves it: the bundle and no key. What it is given
 * lies in `<folder>/agent`, as systemd would hand it over.
 */
export function startAgent(
  at: TestStore,
  device: string,
  url: string,
): AgentProcess & { notify(): void } {
  const { folder } = at.options;
  const own = join(folder, "agent");
  mkdirSync(own, { recursive: true });
  const feed = startTestFeed(at);
  const bundle = JSON.stringify({ format: 1, device, url });
  writeFileSync(join(own, "sync-bundle"), bundle, { mode: 0o600 });
  const agent = started([AGENT, "--data", folder], {
    CREDENTIALS_DIRECTORY: own,
    PORCHLIGHT_SYNC_STATUS: join(folder, "run", "status.json"),
  });
  const stop = async (): Promise<void> => {
    await agent.stop();
    await feed.stop();
  };
  return { ...agent, notify: feed.notify, stop };
}

/**
 * `sync run` of a device that has joined by the command line: its keys and its bundle lie in its
 * folder. Where no daemon runs it serves a feed of its own; killed, its agent goes with it.
 */
export function startSync(at: readonly string[]): AgentProcess {
  return started([CLI, "sync", "run", ...at]);
}

function started(args: readonly string[], more: Record<string, string> = {}): AgentProcess {
  const child = spawn(process.execPath, args, {
    env: userEnvironment(more),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const ended = once(child, "close");
  return {
    child,
    ended,
    said: () => said,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
