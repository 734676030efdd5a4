import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestBroker } from "./arrivals.ts";
import { FULL_BUILD_REMEDY, HIVEMQ } from "./built.ts";
import { needs, needsProgram } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";

export function needsHivemq(): boolean {
  return (
    needsProgram("java", "openjdk-17-jdk-headless") &&
    needs(existsSync(HIVEMQ.folder), "HiveMQ CE", FULL_BUILD_REMEDY)
  );
}

/** HiveMQ CE on a free loopback port, as it is by default; it keeps nothing over a restart. */
export async function startHivemq(): Promise<TestBroker> {
  const temp = tempFolder("hivemq");
  const port = await freePort();
  const path = [HIVEMQ.folder, join(HIVEMQ.folder, "jars", "*")].join(":");
  const start = async (): Promise<ChildProcess> => {
    const child = spawn("java", ["-cp", path, "HiveMq", String(port), temp.path], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const end = (): void => void child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    await ready(child);
    return child;
  };
  let broker = await start();
  const kill = async (): Promise<void> => {
    if (broker.exitCode !== null || broker.signalCode !== null) return;
    const ended = once(broker, "exit");
    broker.kill("SIGKILL");
    await ended;
  };
  return {
    url: `mqtt://127.0.0.1:${port}`,
    kill,
    async restart() {
      await kill();
      broker = await start();
    },
    async stop() {
      await kill();
      temp.remove();
    },
  };
}

/** Resolves when it takes connections; fails with what it said when it ends before. */
function ready(child: ChildProcess): Promise<void> {
  const said: string[] = [];
  return new Promise((done, failed) => {
    child.once("exit", () => failed(new Error(`HiveMQ did not start:\n${said.join("\n")}`)));
    if (child.stdout === null) return;
    // Read to the end, so that the broker never waits for a full pipe.
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (said.length < 50) said.push(line);
      if (line === "ready") done();
    });
  });
}
