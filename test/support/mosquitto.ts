import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { needs } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";

const PROGRAM = "/usr/sbin/mosquitto";
const READY_TIMEOUT_MS = 10_000;

export function needsMosquitto(): boolean {
  return needs(existsSync(PROGRAM), "Mosquitto", "apt-get install mosquitto");
}

export interface MosquittoOptions {
  /** Users by password; without any, everybody may come in. */
  readonly users?: Readonly<Record<string, string>>;
  /** More lines of mosquitto.conf. */
  readonly config?: readonly string[];
  /** Lines for its listener: TLS, WebSocket. */
  readonly listener?: readonly string[];
}

export interface Mosquitto {
  readonly port: number;
  readonly url: string;
  /** Ends it as a power cut would; nothing it held is kept. */
  kill(): Promise<void>;
  /** Stops it from working without closing a connection, and lets it go on. */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A broker of its own on a free loopback port, without persistence. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const folder = tempFolder("mosquitto");
  const port = await freePort();
  const users = Object.entries(options.users ?? {});
  const passwords = join(folder.path, "passwords");
  writeFileSync(passwords, users.map(([name, password]) => `${name}:${password}\n`).join(""));
  if (users.length > 0) spawnSync("mosquitto_passwd", ["-U", passwords]);
  const lines = [
    `listener ${port} 127.0.0.1`,
    ...(options.listener ?? []),
    ...(process.getuid?.() === 0 ? ["user root"] : []),
    ...(users.length > 0 ? [`password_file ${passwords}`] : ["allow_anonymous true"]),
    "persistence false",
    ...(options.config ?? []),
  ];
  const config = join(folder.path, "mosquitto.conf");
  writeFileSync(config, `${lines.join("\n")}\n`);

  const start = async (): Promise<ChildProcess> => {
    const child = spawn(PROGRAM, ["-c", config], { stdio: "ignore" });
    await listening(port, child);
    return child;
  };
  let broker = await start();
  process.once("exit", () => broker.kill("SIGKILL"));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (broker.exitCode !== null || broker.signalCode !== null) return;
    const ended = once(broker, "exit");
    broker.kill(signal);
    // A frozen one hears it only when it goes on; a killed one must not get as far as to answer.
    if (signal !== "SIGKILL") broker.kill("SIGCONT");
    await ended;
  };
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    kill: () => end("SIGKILL"),
    freeze: () => void broker.kill("SIGSTOP"),
    thaw: () => void broker.kill("SIGCONT"),
    async restart() {
      await end("SIGTERM");
      broker = await start();
    },
    async stop() {
      await end("SIGTERM");
      folder.remove();
    },
  };
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error("Mosquitto did not start");
    const socket = connect(port, "127.0.0.1");
    const there = await new Promise<boolean>((done) => {
      socket.once("connect", () => done(true)).once("error", () => done(false));
    });
    socket.destroy();
    if (there) return;
    await sleep(20);
  }
  throw new Error("Mosquitto does not listen");
}
