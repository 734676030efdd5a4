/** The database that a configuration names, or one of our own where it names none. */
import { join, resolve } from "node:path";
import type { Logger } from "../../shared/core/logger.ts";
import type { CloudConfig } from "../config/schema.ts";
import { createDatabase, type Database } from "./database.ts";
import { createEmbeddedPostgres } from "./embedded.ts";

export interface OpenDatabase {
  readonly database: Database;
  /** Closes the pool, and ends a server of our own. */
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly logger: Logger;
  /** Even in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  /** Called when the embedded server is gone for good. */
  readonly failed: (error: unknown) => void;
  /** Whether the server of a centre that runs on the same folder is used as well. */
  readonly attach?: boolean;
}

/** A server of our own answers once this resolves; a named one is not asked before its first query. */
export async function openDatabase(
  config: CloudConfig,
  { logger, random, failed, attach = false }: OpenOptions,
  signal: AbortSignal,
): Promise<OpenDatabase> {
  const { url, connections, statementTimeoutS } = config.database;
  const pool = { connectionsMax: connections, statementTimeoutMs: statementTimeoutS * 1_000 };
  if (url !== undefined) {
    const database = createDatabase({ url, logger, random, ...pool });
    return { database, close: () => database.close() };
  }
  const embedded = createEmbeddedPostgres({
    folder: join(resolve(config.data), "postgres"),
    logger,
    failed,
    attach,
  });
  await embedded.start(signal);
  const database = createDatabase({ url: embedded.url, logger, random, ...pool });
  return {
    database,
    async close() {
      await database.close();
      await embedded.stop();
    },
  };
}
