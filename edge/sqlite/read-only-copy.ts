/** A database on a read-only disk: SQLite needs to write beside it, so a copy is looked at. */
import { accessSync, constants, copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { systemCodeOf } from "../../shared/core/errors.ts";

interface Protectable {
  pragma(source: string): unknown;
}

const copies = new WeakSet<Protectable>();

/** Where the database is to be opened: where it is, or where its copy lies until this process ends. */
export function openablePath(path: string): { readonly path: string; readonly isCopy: boolean } {
  if (!existsSync(path) || !isOnReadOnlyDisk(dirname(path))) return { path, isCopy: false };
  // Encrypted as it is, and 0700.
  const folder = mkdtempSync(join(tmpdir(), "porchlight-read-only-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const copy = join(folder, basename(path));
  for (const more of ["", "-wal"]) {
    if (existsSync(`${path}${more}`)) copyFileSync(`${path}${more}`, `${copy}${more}`);
  }
  return { path: copy, isCopy: true };
}

export function markCopy(database: Protectable): void {
  copies.add(database);
}

/** From here on a copy takes no writes: whoever tries is told that the store is read-only. */
export function protectCopy(database: Protectable): void {
  if (copies.has(database)) database.pragma("query_only = ON");
}

function isOnReadOnlyDisk(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (error) {
    return systemCodeOf(error) === "EROFS";
  }
}
