/** The write-ahead log of a server of our own, kept for backups (cloud-sync/backup). */
import type { CloudConfig } from "../config/schema.ts";

/** In the server's folder, beside `data`: what waits to be brought to where the backups are. */
export const OUTBOX = "wal-out";
/** A segment is 16 MiB; what is not full is closed after this long: so much can be lost. */
const ARCHIVE_TIMEOUT_S = 60;

/** Run inside `data`. Again after a crash, the same file is as good; another one is an error. */
const ARCHIVE = [
  `mkdir -p -m 700 ../${OUTBOX}`,
  `{ cmp -s %p ../${OUTBOX}/%f || test ! -e ../${OUTBOX}/%f; }`,
  `cp %p ../${OUTBOX}/.%f`,
  `sync ../${OUTBOX}/.%f`,
  `mv ../${OUTBOX}/.%f ../${OUTBOX}/%f`,
].join(" && ");

/** Whether the log is kept. */
export function isArchived({
  backup,
  database,
}: Pick<CloudConfig, "backup" | "database">): boolean {
  return database.url === undefined && (backup.folder ?? backup.url) !== undefined;
}

/** What the server is told, whoever starts it: a hole in the log would end every backup before it. */
export function archivingOf(config: CloudConfig): readonly string[] {
  if (!isArchived(config)) return [];
  return ["archive_mode=on", `archive_timeout=${ARCHIVE_TIMEOUT_S}`, `archive_command=${ARCHIVE}`];
}
