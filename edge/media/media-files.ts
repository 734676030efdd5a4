/**
 * Sealed objects as files, named by what is in them:
 *
 *     <data>/media/<ab>/<abcd…>       <abcd…>: SHA-256 of the sealed bytes, 64 hex digits
 *     <data>/media/unfinished-<id>    not whole yet, or what a crash has left of it
 *
 * The agent reads them through the group, and can open none: the keys are in the vault.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCodeOf } from "../../shared/core/errors.ts";
import { hashSchema } from "../../shared/log/cursor.ts";

export interface MediaFiles {
  /** Keeps sealed bytes; durable when it resolves. Their SHA-256. */
  write(sealed: Buffer): Promise<string>;
  /** Null when they are there no longer, or are others than they were. */
  read(sha256: string): Buffer | null;
  remove(sha256: string): void;
  /**
   * Removes orphans, whose entry was never written, and who were made before that time. Returns how
   * many there were.
   */
  sweep(isKnown: (sha256: string) => boolean, madeBeforeMs: number): number;
}

export interface MediaFilesOptions {
  /** `<data>/media`. */
  readonly folder: string;
  readonly newId: () => string;
}

const FOLDER_MODE = 0o2750;
/** Below it a folder takes over the group; its own setgid bit may not be set from within a unit. */
const INNER_FOLDER_MODE = 0o750;
const FILE_MODE = 0o640;
const UNFINISHED = "unfinished-";

export function mediaFolder(data: string): string {
  return join(data, "media");
}

export function createMediaFiles({ folder, newId }: MediaFilesOptions): MediaFiles {
  const pathOf = (sha256: string): string => join(folder, sha256.slice(0, 2), sha256);
  return {
    async write(sealed) {
      const sha256 = digestOf(sealed);
      const path = pathOf(sha256);
      ensureFolder(folder);
      const made = await mkdir(dirname(path), { recursive: true });
      if (made !== undefined) chmodSync(dirname(path), INNER_FOLDER_MODE);
      const temporary = join(folder, `${UNFINISHED}${newId()}`);
      try {
        const file = await open(temporary, "wx", FILE_MODE);
        try {
          // Whatever the umask: the agent is to read it.
          await file.chmod(FILE_MODE);
          await file.writeFile(sealed);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncFolder(dirname(path));
      if (made !== undefined) await syncFolder(folder);
      return sha256;
    },
    read(sha256) {
      try {
        const bytes = readFileSync(pathOf(sha256));
        return digestOf(bytes) === sha256 ? bytes : null;
      } catch (error) {
        if (systemCodeOf(error) === "ENOENT") return null;
        throw error;
      }
    },
    remove: (sha256) => rmSync(pathOf(sha256), { force: true }),
    sweep(isKnown, madeBeforeMs) {
      const lost = filesIn(folder).filter((path) => {
        const name = path.slice(path.lastIndexOf("/") + 1);
        const isObject = hashSchema.safeParse(name).success;
        if (!name.startsWith(UNFINISHED) && (!isObject || isKnown(name))) return false;
        const made = statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs;
        return made !== undefined && made < madeBeforeMs;
      });
      for (const path of lost) rmSync(join(folder, path), { force: true });
      return lost.length;
    },
  };
}

function digestOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** On an installed device tmpfiles.d has made it, with its setgid bit. */
export function ensureFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  if ((statSync(folder).mode & 0o7777) !== FOLDER_MODE) chmodSync(folder, FOLDER_MODE);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
