import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { serversOn } from "../../cloud-sync/postgres/cluster.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import {
  createEmbeddedPostgres,
  type EmbeddedPostgres,
} from "../../cloud-sync/postgres/embedded.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { tempFolder } from "./temp.ts";

const PROCESS = fileURLToPath(new URL("./embedded-process.ts", import.meta.url));

/** A server in a folder of its own, with a pool at it. */
export class Place {
  readonly #temp = tempFolder("embedded");
  readonly folder = join(this.#temp.path, "postgres");
  readonly data = join(this.folder, "data");
  readonly failures: unknown[] = [];
  readonly server: EmbeddedPostgres = createEmbeddedPostgres({
    folder: this.folder,
    logger: silentLogger,
    failed: (error) => this.failures.push(error),
  });
  #database: Database | undefined;

  constructor() {
    // mkdtemp makes it ours alone; the server may run as somebody else.
    chmodSync(this.#temp.path, 0o755);
  }

  get database(): Database {
    this.#database ??= createDatabase({
      url: this.server.url,
      logger: silentLogger,
      random: Math.random,
    });
    return this.#database;
  }

  async stop(): Promise<void> {
    await this.#database?.close();
    this.#database = undefined;
    await this.server.stop();
  }

  async remove(): Promise<void> {
    await this.stop();
    assert.equal(serversOn(this.data), []);
    assert.equal(this.failures, []);
    this.#temp.remove();
  }
}

/** Another process with a server on this folder; says lines. */
export function otherProcess(folder: string): {
  child: ChildProcess;
  lines: string[];
  said(line: RegExp): Promise<string>;
} {
  const child = spawn(process.execPath, [PROCESS, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => lines.push(line));
  const said = async (wanted: RegExp): Promise<string> => {
    for (;;) {
      const line = lines.find((each) => wanted.test(each));
      if (line !== undefined) return line;
      await once(reader, "line");
    }
  };
  return { child, lines, said };
}

export async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
