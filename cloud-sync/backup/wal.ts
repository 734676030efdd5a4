/**
 * The write-ahead log on its way out: PostgreSQL's archiver copies each segment into a folder beside
 * the database, and whoever comes first brings it, encrypted, to where the backups are.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createBoundary } from "../../shared/core/boundary.ts";
import { systemCodeOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import type { CloudConfig } from "../config/schema.ts";
import { OUTBOX } from "../postgres/archiving.ts";
import { openBackup } from "./open.ts";
import type { Vessel } from "./vessel.ts";

export const WAL = "backup/wal/";
const SHIP_EVERY_MS = 5_000;
/** A segment, a history file or a backup's label. */
const FILE = /^[0-9A-F]{8}(\.history|[0-9A-F]{16}(\.[0-9A-F]{8}\.backup)?)$/;

/** Brings everything that waits, in its order; gives how many files that were. */
export async function shipWal(folder: string, vessel: Vessel): Promise<number> {
  const outbox = join(folder, OUTBOX);
  if (!existsSync(outbox)) return 0;
  const waiting = readdirSync(outbox).filter((name) => FILE.test(name));
  for (const name of waiting.sort()) {
    const path = join(outbox, name);
    try {
      await vessel.put(`${WAL}${name}`, readFileSync(path));
      rmSync(path, { force: true });
    } catch (error) {
      // Somebody else has brought it.
      if (systemCodeOf(error) !== "ENOENT") throw error;
    }
  }
  return waiting.length;
}

/** As long as the centre runs. */
export function createWalShipping({ config, logger }: { config: CloudConfig; logger: Logger }) {
  const folder = join(resolve(config.data), "postgres");
  return {
    async run(signal: AbortSignal): Promise<void> {
      const boundary = createBoundary("backup", logger);
      const vessel = openBackup(config, "make");
      await boundary.eachAsync(null, () => vessel.open());
      while (!signal.aborted) {
        await boundary.eachAsync(null, () => shipWal(folder, vessel));
        await pause(SHIP_EVERY_MS, signal);
      }
      vessel.close();
    },
  };
}
