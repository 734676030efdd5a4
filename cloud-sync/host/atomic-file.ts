import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { systemCodeOf } from "../../shared/core/errors.ts";

/** Never through a link that somebody has put there, and never into a file that is there already. */
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export interface FileAttributes {
  /** Holds whatever the umask is. */
  readonly mode: number;
  /** Default: whoever runs the process. Only root may give a file away. */
  readonly owner?: Pick<Stats, "uid" | "gid">;
}

/** Makes a new file, durable when it returns. Throws EEXIST where there is one, also a link. */
export function createFile(
  path: string,
  content: string | Uint8Array,
  attributes: FileAttributes,
): void {
  writeNew(path, content, attributes);
  syncFolder(dirname(path));
}

/**
 * Replaces a file: a reader, or a start after a power cut, finds the old content or the new, never
 * half of one. Written beside it, synced, renamed, and the folder synced.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  attributes: FileAttributes,
): void {
  // One that a killed process with our number has left is no obstacle.
  const next = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
  rmSync(next, { force: true });
  try {
    writeNew(next, content, attributes);
    renameSync(next, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}

/** The same for a file of the owner's: a link stays one, and mode and owner stay as they were. */
export function rewriteFile(path: string, content: string | Uint8Array): void {
  const real = realpathSync(path);
  const { mode, uid, gid } = statSync(real);
  replaceFile(real, content, { mode: mode & 0o7777, owner: { uid, gid } });
}

/** A copy beside the owner's file, with its mode and owner. One that is there already stays. */
export function copyOnce(path: string, to: string): void {
  const { mode, uid, gid } = statSync(path);
  try {
    createFile(to, readFileSync(path), { mode: mode & 0o7777, owner: { uid, gid } });
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
  }
}

/** A rename, a new file or a removal is durable once its folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function writeNew(
  path: string,
  content: string | Uint8Array,
  { mode, owner }: FileAttributes,
): void {
  const file = openSync(path, CREATE, 0o600);
  try {
    if (owner !== undefined) giveTo(file, owner);
    fchmodSync(file, mode);
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** For everybody but root a file is theirs already, and stays so. */
function giveTo(file: number, { uid, gid }: Pick<Stats, "uid" | "gid">): void {
  try {
    fchownSync(file, uid, gid);
  } catch (error) {
    if (systemCodeOf(error) !== "EPERM") throw error;
  }
}
