/** What SQLite's result codes mean to whoever runs a store: one place for all of them. */
import { EXIT, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { diskFull, isDiskFull } from "../host/disk-full.ts";

interface Meaning {
  readonly codes: RegExp;
  readonly code: string;
  readonly message: string;
  readonly remedy: "retry" | "stop";
  readonly hint: string;
}

/** https://www.sqlite.org/rescode.html; extended codes begin with their primary one. */
const MEANINGS: readonly Meaning[] = [
  {
    codes: /^SQLITE_(BUSY|LOCKED|PROTOCOL)/,
    code: "store.busy",
    message: "another process is writing to the store, and does not end",
    remedy: "retry",
    hint: "see which: fuser -v DATA/log/log.db DATA/vault/vault.db",
  },
  {
    codes: /^SQLITE_(CORRUPT|NOTADB|FORMAT)/,
    code: "store.damaged",
    message: "the store is damaged: a page of it cannot be read",
    remedy: "stop",
    hint: "verify the log: porchlight log verify; if it is whole, make the vault again: porchlight store rebuild",
  },
  {
    codes: /^SQLITE_(READONLY|PERM|AUTH)|^EROFS$/,
    code: "store.readonly",
    message: "the store may not be written to",
    remedy: "stop",
    hint: "is the disk mounted read-only, or are the files another user's? ls -l DATA DATA/log DATA/vault; mount",
  },
  {
    codes: /^SQLITE_(IOERR|CANTOPEN)|^EIO$/,
    code: "store.io",
    message: "the disk of the store does not answer as it should",
    remedy: "retry",
    hint: "look at the kernel's messages: dmesg | tail; a card that wears out fails like this",
  },
  {
    codes: /^SQLITE_NOMEM|^ENOMEM$/,
    code: "store.memory",
    message: "there is no memory left for the store",
    remedy: "retry",
    hint: "see what takes it: free -m; systemctl status porchlight",
  },
];

/** Null where it is no failure of the store's files or of the disk they are on. */
export function storeFailure(error: unknown): PorchlightError | null {
  if (!isOfStore(error)) return null;
  if (isDiskFull(error)) return diskFull(error);
  const code = systemCodeOf(error) ?? "";
  const meaning = MEANINGS.find(({ codes }) => codes.test(code));
  if (meaning === undefined) return null;
  const { message, remedy, hint } = meaning;
  const cause = error;
  return new PorchlightError(meaning.code, `${message} (${code})`, {
    ...{ remedy, hint, cause },
    exitCode: EXIT.failed,
  });
}

/** The same error in an operator's words, where it is the store's. */
export function explained(error: unknown): unknown {
  const known = storeFailure(error);
  if (known !== null || !isSqliteError(error)) return known ?? error;
  // What is left: an index or a virtual table whose own pages make no sense.
  const words = `the store failed: ${error.message} (${systemCodeOf(error)})`;
  const hint = "verify the log: porchlight log verify; then: porchlight store rebuild";
  return new PorchlightError("store.failed", words, { hint, cause: error });
}

function isSqliteError(error: unknown): error is Error {
  return error instanceof Error && error.name === "SqliteError";
}

/** Also what Node says of a disk below it. */
function isOfStore(error: unknown): boolean {
  return isSqliteError(error) || /^(EROFS|EIO|ENOMEM)$/.test(systemCodeOf(error) ?? "");
}
