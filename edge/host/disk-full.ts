import { PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";

/** SQLite's errors of a full disk: it may also fail in a sync or in `-shm`. */
const FULL = /^(SQLITE_FULL|SQLITE_IOERR_(WRITE|FSYNC|TRUNCATE|SHMSIZE|SHMOPEN)|ENOSPC|EDQUOT)$/;

export function isDiskFull(error: unknown): boolean {
  return FULL.test(systemCodeOf(error) ?? "");
}

/** Nothing of it was written; what the reserve was kept for has gone into it already. */
export function diskFull(cause: unknown): PorchlightError {
  return new PorchlightError("disk.full", "the disk is full", {
    remedy: "retry",
    hint: "make room on it, or lower buffer.maxMiB: porchlight status",
    cause,
  });
}
