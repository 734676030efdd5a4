import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { porchlight } from "./cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "./cloud.ts";
import { type PostgresServer, PROGRAMS, startPostgres } from "./postgres.ts";
import type { suite } from "./suite.ts";
import { tempFolder } from "./temp.ts";

/** A centre on a database of its own, which other databases' settings do not touch. */
export class DatabaseRig {
  readonly server: PostgresServer;
  readonly url: string;
  readonly name: string;
  readonly room: string;
  readonly door: readonly string[];
  readonly data: readonly string[];
  variables: Record<string, string>;
  device = "";

  constructor(server: PostgresServer, room: string) {
    this.server = server;
    this.url = server.freshDatabase();
    this.name = new URL(this.url).pathname.slice(1);
    this.room = room;
    this.door = ["--data", join(room, "door")];
    this.data = ["--data", join(room, "centre")];
    this.variables = { PORCHLIGHT_CLOUD_DATABASE_URL: this.url };
  }

  sql(...statements: string[]): string {
    const words = statements.flatMap((statement) => ["-c", statement]);
    return this.run("psql", "-qAtd", this.name, ...words);
  }

  /** One of PostgreSQL's own programs, at this server. */
  run(program: string, ...args: string[]): string {
    const place = ["-h", "127.0.0.1", "-p", String(this.server.port), "-U", "postgres"];
    return execFileSync(join(PROGRAMS, program), [...place, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  }

  /** Ends every connection of the centre, as a failover does. */
  disconnect(): void {
    this.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = '${this.name}' AND pid <> pg_backend_pid()`,
    );
  }

  start(more: Record<string, string> = {}): Promise<CentreProcess> {
    return startCentre(this.data, { ...this.variables, ...more });
  }

  cloud(...args: string[]) {
    return porchlightCloud([...args, ...this.data], this.variables);
  }

  async join(): Promise<void> {
    const made = await porchlight(["init", ...this.door]);
    assert.is(made.code, 0, made.err);
    const { out } = await porchlight(["log", "export", ...this.door]);
    this.device = JSON.parse(out.split("\n")[0] ?? "").data.device;
    const bundle = join(this.room, "door.bundle");
    const added = await this.cloud("devices", "add", this.device, "--out", bundle);
    assert.is(added.code, 0, added.err);
    const joined = await porchlight(["sync", "join", bundle, ...this.door]);
    assert.is(joined.code, 0, joined.err);
  }

  sync() {
    return porchlight(["sync", "run", "--until-acked", ...this.door]);
  }

  /** Whether the centre has the log of the door, byte for byte. */
  async isSame(): Promise<void> {
    const here = await porchlight(["log", "export", ...this.door]);
    const there = await this.cloud("log", "export", "--device", this.device);
    assert.is(there.code, 0, there.err);
    assert.ok(here.out.length > 100);
    assert.is(there.out, here.out);
  }
}

/** Rigs for a suite: one server, and a room of its own for each. */
export function rigsFor(tests: ReturnType<typeof suite>, name: string) {
  const folder = tempFolder(name);
  chmodSync(folder.path, 0o755);
  let server: PostgresServer | undefined;
  let rooms = 0;
  tests.before(async () => {
    server = await startPostgres();
  });
  tests.after(async () => {
    await server?.stop();
    folder.remove();
  });
  const started = (): PostgresServer => {
    if (server === undefined) throw new Error("the server is started first");
    return server;
  };
  return {
    folder: folder.path,
    server: started,
    newRig: () => new DatabaseRig(started(), join(folder.path, String(++rooms))),
  };
}
