/** The database that a configuration names, or one of our own where it names none. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Logger } from "../../shared/core/logger.ts";
import type { CloudConfig } from "../config/schema.ts";
import { readSecret, secretPath } from "../host/secret-file.ts";
import { archivingOf } from "./archiving.ts";
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
  const password = passwordOf(config);
  const pool = { connectionsMax: connections, statementTimeoutMs: statementTimeoutS * 1_000 };
  if (url !== undefined) {
    const database = createDatabase({ url, password, logger, random, ...pool });
    return { database, close: () => database.close() };
  }
  const embedded = createEmbeddedPostgres({
    folder: join(resolve(config.data), "postgres"),
    logger,
    failed,
    attach,
    settings: archivingOf(config),
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

const PASSWORD = {
  credential: "database-password",
  code: "database.password",
  missing: "no password of the database",
  hint: "name its file with database.passwordFile: porchlight-cloud config schema",
} as const;

/** Read again at each new connection: it may be rotated. Undefined where only the URL may have one. */
function passwordOf(config: CloudConfig): (() => string) | undefined {
  const { password, passwordFile } = config.database;
  if (password !== undefined) return () => password;
  const { credentialsDirectory } = config;
  const sources = { credentialsDirectory, ...(passwordFile && { configuredFile: passwordFile }) };
  const path = secretPath(PASSWORD.credential, sources);
  if (path === null || (passwordFile === undefined && !existsSync(path))) return undefined;
  return () => readSecret(PASSWORD, sources).toString("utf8").trimEnd();
}
