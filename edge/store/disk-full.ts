import { systemCodeOf } from "../../shared/errors.ts";

/** What SQLite says when the disk takes no more: a full one may fail in a sync or in `-shm` too. */
const FULL = /^(SQLITE_FULL|SQLITE_IOERR_(WRITE|FSYNC|TRUNCATE|SHMSIZE|SHMOPEN)|ENOSPC|EDQUOT)$/;

export function isDiskFull(error: unknown): boolean {
  return FULL.test(systemCodeOf(error) ?? "");
}
