/**
 * A process with a PostgreSQL of its own, to be killed. Argument: the folder. Writes numbers, and
 * says each one on standard output once it is committed; without end.
 */
import { writeSync } from "node:fs";
import { createDatabase } from "../../cloud-sync/postgres/database.ts";
import { createEmbeddedPostgres } from "../../cloud-sync/postgres/embedded.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";

const STDOUT = 1;
const [folder = ""] = process.argv.slice(2);
const failed = (error: unknown): void => {
  throw error;
};
const embedded = createEmbeddedPostgres({ folder, logger: silentLogger, failed });
try {
  await embedded.start(new AbortController().signal);
} catch (error) {
  writeSync(STDOUT, `${error instanceof PorchlightError ? error.code : String(error)}\n`);
  process.exit(1);
}
const database = createDatabase({ url: embedded.url, logger: silentLogger, random: Math.random });
await database.query("CREATE TABLE IF NOT EXISTS numbers (n integer PRIMARY KEY)");
writeSync(STDOUT, "ready\n");
for (let n = 0; ; n++) {
  const text = "INSERT INTO numbers VALUES ($1) ON CONFLICT DO NOTHING";
  await database.transaction((connection) => connection.query(text, [n]));
  writeSync(STDOUT, `${n}\n`);
}
