import { chmodSync, cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { BUILD_REMEDY, PGVECTOR } from "./built.ts";
import { needs } from "./needs.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { tempFolder } from "./temp.ts";

export function needsPgvector(): boolean {
  return needs(existsSync(PGVECTOR.folder), "PostgreSQL with pgvector", BUILD_REMEDY);
}

/** A PostgreSQL 18 with pgvector. Its programs are copied: its user may not enter root's folders. */
export async function startPgvector(): Promise<PostgresServer> {
  const temp = tempFolder("pgvector");
  chmodSync(temp.path, 0o755);
  const install = join(temp.path, "install");
  cpSync(PGVECTOR.folder, install, { recursive: true, verbatimSymlinks: true });
  const server = await startPostgres(join(install, PGVECTOR.programs));
  return {
    ...server,
    async stop() {
      await server.stop();
      temp.remove();
    },
  };
}
