/** The only home of SQLite on the device: cipher, key, pragmas, sqlite-vec, migrations. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";
import * as sqliteVec from "sqlite-vec";
import { z } from "zod";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import { type MigrationFolder, migrate } from "./migrate.ts";
import { markCopy, openablePath } from "./read-only-copy.ts";

export type Database = Sqlite.Database;

export interface DatabaseOptions {
  readonly path: string;
  /** Raw 32-byte key, SQLCipher 4 format: any SQLCipher 4 tool given it opens the file. */
  readonly key: Uint8Array;
  readonly migrations: MigrationFolder;
  /** Whether a missing file is made (`porchlight init`, tests) or an error (everything else). */
  readonly create: boolean;
  /** Whether it has vector tables: else no extension is loaded. */
  readonly vectors?: boolean;
  /** For what may be lost with the power: a commit waits for no disk. Default: it does. */
  readonly synchronous?: "FULL" | "NORMAL";
  /** Pages kept in memory, KiB; default: the gallery of a household and the tail of the log. */
  readonly cacheKiB?: number;
  readonly now: () => number;
}

/** The daemon's user alone; SQLite gives -wal and -shm the same. */
const FILE_MODE = 0o600;
const KEY_BYTES = 32;
const PAGE_BYTES = 4096;
const PLAIN_HEADER = "SQLite format 3\0";
/** The daemon and a command share a file; the longest write (a projection batch) takes well under a second. */
const BUSY_TIMEOUT_MS = 2_000;
const CACHE_KIB = 8_192;

/**
 * Opens an encrypted database and brings its schema up to date.
 * Throws `store.missing`, `store.plain`, `store.truncated`, `store.key.wrong` or
 * `store.schema.newer`; the file is left as it was.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { key } = options;
  invariant(key.length === KEY_BYTES, "a database key has 32 bytes");
  const { path, isCopy } = openablePath(options.path);
  if (existsSync(path)) {
    inspect({ ...options, path });
    keepToOwner(path);
  } else createFile(options);
  const database = openAsItIs(path, key);
  if (isCopy) markCopy(database);
  try {
    database.pragma("journal_mode = WAL");
    database.pragma(`synchronous = ${options.synchronous ?? "FULL"}`);
    database.pragma("foreign_keys = ON");
    database.pragma("secure_delete = ON");
    database.pragma("temp_store = MEMORY");
    database.pragma("trusted_schema = OFF");
    database.pragma(`cache_size = -${options.cacheKiB ?? CACHE_KIB}`);
    if (options.vectors) sqliteVec.load(database);
    migrate(database, options.migrations, { path, now: options.now });
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Unlocked, and nothing more: for whoever looks at what is left of it. */
export function openAsItIs(path: string, key: Uint8Array): Database {
  const database = load(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    unlock(database, path, key);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Without a cipher, and without waiting for anybody: for a lock, which holds no data. */
export function openPlain(path: string): Database {
  return load(path, { timeout: 0 });
}

function load(path: string, options: Sqlite.Options): Database {
  // The loader of the binary tells glibc from musl by a report of the process: without its network,
  // which would open a netlink socket and look up the names of peers.
  Object.assign(process.report, { excludeNetwork: true });
  return new Sqlite(path, options);
}

/** Changes whenever another connection, in this or another process, has committed. */
export function dataVersion(database: Database): number {
  return Number(database.pragma("data_version", { simple: true }));
}

const checkpointRow = z.tuple([z.object({ busy: z.int() })]);

/**
 * Leaves nothing of what was deleted in the write-ahead log. Waits so long for whoever reads it;
 * false where they go on, and the log stands.
 */
export function truncateWal(database: Database, waitMs: number): boolean {
  database.pragma(`busy_timeout = ${waitMs}`);
  try {
    const [{ busy }] = checkpointRow.parse(database.pragma("wal_checkpoint(TRUNCATE)"));
    return busy === 0;
  } finally {
    database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }
}

function createFile({ path, create }: DatabaseOptions): void {
  if (!create) {
    throw new PorchlightError("store.missing", `there is no store at ${path}`, {
      hint: "make one: porchlight init",
    });
  }
  const file = openSync(path, "wx", FILE_MODE);
  // The umask may have taken bits away, and SQLite copies this mode to -wal and -shm.
  fchmodSync(file, FILE_MODE);
  fsyncSync(file);
  closeSync(file);
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}

/** A store of an earlier version could be opened by the agent's group. */
function keepToOwner(path: string): void {
  const folder = dirname(path);
  for (const file of [folder, path, `${path}-wal`, `${path}-shm`]) {
    if (!existsSync(file)) continue;
    const { mode, uid } = statSync(file);
    const isOurs = uid === process.getuid?.() || process.getuid?.() === 0;
    if (isOurs && (mode & 0o077) !== 0) chmodSync(file, file === folder ? 0o700 : FILE_MODE);
  }
}

/** What can be said of a file without its key. */
function inspect({ path, create }: DatabaseOptions): void {
  const { size } = statSync(path);
  // SQLite would take an empty file for a new database, and any key for the right one.
  if (size === 0 && !create) throw truncated(path);
  const header = Buffer.alloc(PLAIN_HEADER.length);
  const file = openSync(path, "r");
  readSync(file, header, 0, header.length, 0);
  closeSync(file);
  if (header.toString("latin1") === PLAIN_HEADER) {
    throw new PorchlightError(
      "store.plain",
      `${path} is a plain SQLite file, not an encrypted store`,
      {
        hint: "name another folder with --data, or move the file away and run: porchlight init",
      },
    );
  }
  if (size % PAGE_BYTES !== 0) throw truncated(path);
}

function truncated(path: string, cause?: unknown): PorchlightError {
  return new PorchlightError("store.truncated", `${path} is cut short or damaged`, {
    hint: "restore it from a backup; the other file of the store is not affected",
    cause,
  });
}

function unlock(database: Database, path: string, key: Uint8Array): void {
  database.pragma("cipher = 'sqlcipher'");
  database.pragma("legacy = 4");
  database.pragma(`key = "x'${Buffer.from(key).toString("hex")}'"`);
  try {
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
  } catch (cause) {
    if (!(cause instanceof Sqlite.SqliteError)) throw cause;
    if (cause.code === "SQLITE_NOTADB") {
      throw new PorchlightError("store.key.wrong", `the key does not open ${path}`, {
        hint: "point the configuration at the key this store was made with: porchlight config check",
        cause,
      });
    }
    if (cause.code.startsWith("SQLITE_CORRUPT")) throw truncated(path, cause);
    throw cause;
  }
}
