import { chmodSync } from "node:fs";
import { join } from "node:path";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createEmbeddedPostgres } from "../../cloud-sync/postgres/embedded.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { PROGRAMS, startPostgres } from "./postgres.ts";
import { tempFolder } from "./temp.ts";

/** A PostgreSQL for a suite that runs over both kinds. */
export interface Engine {
  /** An empty database; close it before the next one is asked for. */
  fresh(): Promise<Database>;
  stop(): Promise<void>;
}

function connect(url: string): Database {
  return createDatabase({ url, logger: silentLogger, random: Math.random });
}

export async function startServer(): Promise<Engine> {
  const server = await startPostgres();
  return { fresh: async () => connect(server.freshDatabase()), stop: server.stop };
}

/** For a suite in which the server itself never ends: what it says it has need not be on the disk. */
export async function startFast(): Promise<Engine> {
  const server = await startPostgres(PROGRAMS, ["fsync=off", "synchronous_commit=off"]);
  return { fresh: async () => connect(server.freshDatabase()), stop: server.stop };
}

export async function startOwn(): Promise<Engine> {
  const temp = tempFolder("engine");
  chmodSync(temp.path, 0o755);
  const failed = (error: unknown): void => {
    throw error;
  };
  const folder = join(temp.path, "postgres");
  const embedded = createEmbeddedPostgres({ folder, logger: silentLogger, failed });
  await embedded.start(new AbortController().signal);
  return {
    async fresh() {
      const database = connect(embedded.url);
      await database.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
      return database;
    },
    async stop() {
      await embedded.stop();
      temp.remove();
    },
  };
}
