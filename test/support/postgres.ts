import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, systemCodeOf } from "../../shared/core/errors.ts";
import { needs } from "./needs.ts";
import { freePort } from "./port.ts";
import { tempFolder } from "./temp.ts";

/** Debian's PostgreSQL 15: the oldest one that central supports. */
export const PROGRAMS = "/usr/lib/postgresql/15/bin";
const READY = "database system is ready to accept connections";

export function needsPostgres(): boolean {
  const present = existsSync(join(PROGRAMS, "postgres"));
  return needs(present, "PostgreSQL 15", "apt-get install postgresql-15");
}

export interface PostgresServer {
  readonly port: number;
  /** Its data, and what else is of it. */
  readonly data: string;
  readonly folder: string;
  /** Makes an empty database, and tells its URL. */
  freshDatabase(): string;
  /** Ends the server as a power cut would: no checkpoint, no goodbye. */
  kill(): Promise<void>;
  /** Ends it in order, and keeps its folder. */
  halt(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/**
 * A server of its own on a free loopback port, with `more` settings. It also ends when the test
 * process does.
 */
export async function startPostgres(
  programs = PROGRAMS,
  more: readonly string[] = [],
): Promise<PostgresServer> {
  const folder = tempFolder("postgres");
  const account = serverAccount();
  if (account !== null) chownSync(folder.path, account.uid, account.gid);
  const data = join(folder.path, "data");
  const initial = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
  execFileSync(join(programs, "initdb"), ["-D", data, ...initial], {
    ...account,
    stdio: "ignore",
  });
  const port = await freePort();
  const settings = [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    `unix_socket_directories=${folder.path}`,
    "wal_level=logical",
    ...more,
  ].flatMap((setting) => ["-c", setting]);

  const start = async (): Promise<ChildProcess> => {
    const child = spawn(join(programs, "postgres"), ["-D", data, ...settings], {
      ...account,
      env: { LC_ALL: "C" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const end = (): void => void child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    await ready(child);
    return child;
  };
  let server = await start();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, "exit");
    server.kill(signal);
    await ended;
  };
  let databases = 0;
  return {
    port,
    data,
    folder: folder.path,
    halt: () => end("SIGINT"),
    freshDatabase() {
      const name = `test_${++databases}`;
      const place = ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres"];
      execFileSync(join(programs, "createdb"), [...place, name]);
      return `postgres://postgres@127.0.0.1:${port}/${name}`;
    },
    async kill() {
      const backends = childrenOf(server);
      await end("SIGKILL");
      // They would answer for a moment longer: nothing survives a power cut.
      for (const pid of backends) killIfThere(pid);
    },
    async restart() {
      await end("SIGINT");
      server = await startAgain(start);
    },
    async stop() {
      await end("SIGINT");
      folder.remove();
    },
  };
}

/** proc_pid_task_children(5). */
function childrenOf({ pid }: ChildProcess): number[] {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return listed.split(" ").filter(Boolean).map(Number);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (systemCodeOf(error) !== "ESRCH") throw error;
  }
}

/** Backends outlive a server that was killed by a moment, and as long no other may start. */
async function startAgain(start: () => Promise<ChildProcess>): Promise<ChildProcess> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === 100 || !messageOf(error).includes("still in use")) throw error;
      await sleep(50);
    }
  }
}

/** PostgreSQL refuses to run as root: then Debian's user of it does. */
function serverAccount(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const [, uid, gid] =
    /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8")) ?? [];
  if (uid === undefined) throw new Error("the package postgresql-15 makes a user postgres");
  return { uid: Number(uid), gid: Number(gid) };
}

/** Resolves when the server takes connections; fails with what it said when it ends before. */
function ready(child: ChildProcess): Promise<void> {
  const said: string[] = [];
  return new Promise((done, failed) => {
    child.once("exit", () => failed(new Error(`PostgreSQL did not start:\n${said.join("\n")}`)));
    if (child.stderr === null) return;
    // Read to the end, so that the server never waits for a full pipe.
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (said.length < 50) said.push(line);
      if (line.includes(READY)) done();
    });
  });
}
