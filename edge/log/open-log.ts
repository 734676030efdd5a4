/** The log alone, without the vault: it is read, verified and appended to, and nothing sealed is opened. */
import { join } from "node:path";
import type { Clock } from "../../shared/core/clock.ts";
import type { Entry } from "../../shared/log/entry.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../sqlite/database.ts";
import { protectCopy } from "../sqlite/read-only-copy.ts";
import { createEventLog, type EventLog } from "./event-log.ts";
import { createLogReader, type LogReader } from "./reader.ts";

const MIGRATIONS = new URL("./migrations/", import.meta.url);

export interface LogOptions {
  readonly folder: string;
  readonly logKey: Uint8Array;
  readonly clock: Clock;
  readonly clockState: (nowMs: number) => Entry["clock"];
  readonly newId: () => string;
}

export interface OpenLog {
  readonly log: EventLog;
  /** Every log of the store, one after the other: of each what belongs into the centre. */
  readonly reader: LogReader;
  readonly database: Database;
  close(): void;
}

export function logPath(folder: string): string {
  return join(folder, "log", "log.db");
}

/** How a process that only passes the log on opens it: database.ts. */
export type LogAccess = LogOptions & Pick<DatabaseOptions, "synchronous" | "cacheKiB">;

export function openLog(options: LogAccess): OpenLog {
  const database = openLogDatabase(options, false);
  protectCopy(database);
  return {
    log: createEventLog({ database, ...options }),
    reader: createLogReader(database, "sent"),
    database,
    close: () => database.close(),
  };
}

export function openLogDatabase(options: LogAccess, create: boolean): Database {
  const { synchronous = "FULL", cacheKiB } = options;
  return openDatabase({
    synchronous,
    ...(cacheKiB !== undefined && { cacheKiB }),
    path: logPath(options.folder),
    key: options.logKey,
    migrations: MIGRATIONS,
    create,
    now: options.clock.now,
  });
}
