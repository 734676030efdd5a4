import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { needs } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";

const PROGRAM = "/usr/sbin/pgbouncer";

export function needsPgBouncer(): boolean {
  return needs(existsSync(PROGRAM), "PgBouncer", "apt-get install pgbouncer");
}

export interface PgBouncer {
  /** The URL of a database of the server behind it, through it. */
  through(url: string): string;
  stop(): Promise<void>;
}

/** A pooler on a free loopback port, as Debian sets it up but for its pool mode and size. */
export async function startPgBouncer(
  serverPort: number,
  mode: "session" | "transaction",
): Promise<PgBouncer> {
  const folder = tempFolder("pgbouncer");
  chmodSync(folder.path, 0o755);
  const port = await freePort();
  const users = join(folder.path, "users.txt");
  writeFileSync(users, '"postgres" ""\n');
  const config = join(folder.path, "pgbouncer.ini");
  const lines = [
    "[databases]",
    `* = host=127.0.0.1 port=${serverPort} user=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = trust",
    `auth_file = ${users}`,
    `pool_mode = ${mode}`,
    "default_pool_size = 12",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const child = await started(config);
  return {
    through(url) {
      const through = new URL(url);
      through.port = String(port);
      return through.href;
    },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      folder.remove();
    },
  };
}

/** It refuses to run as root. */
async function started(config: string): Promise<ChildProcess> {
  const asPostgres = process.getuid?.() === 0 ? ["-u", "postgres"] : [];
  const child = spawn(PROGRAM, [...asPostgres, config], { stdio: ["ignore", "ignore", "pipe"] });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  if (child.stderr === null) throw new Error("its words are read");
  const said: string[] = [];
  const ready = new Promise<void>((done, failed) => {
    child.once("exit", () => failed(new Error(`PgBouncer ended: ${said.join("\n")}`)));
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (said.length < 50) said.push(line);
      if (line.includes("process up")) done();
    });
  });
  await ready;
  return child;
}
