/** Objects as files in a folder, for a centre without S3. */
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { PorchlightError, systemCodeOf } from "../../shared/errors.ts";
import { checkedKey, type ObjectHead, type ObjectStore } from "./object-store.ts";

/** A file that is not whole yet; what a crash has left of it is never listed. */
const UNFINISHED = ".unfinished";

export interface FolderOptions {
  readonly folder: string;
  /** Tells files apart that are written at the same time. */
  readonly newId: () => string;
}

export function createFolderStore({ folder, newId }: FolderOptions): ObjectStore {
  const root = resolve(folder);
  const pathOf = (key: string): string => join(root, ...checkedKey(key).split("/"));
  const head = async (key: string): Promise<ObjectHead | null> => {
    const found = await orNull(() => stat(pathOf(key)));
    return found?.isFile() ? { key, bytes: found.size } : null;
  };
  return {
    place: root,
    open: () =>
      translated(root, async () => void (await mkdir(root, { recursive: true, mode: 0o700 }))),
    put: (key, content) => translated(root, () => write(pathOf(key), content, root, newId())),
    async get(key) {
      return (await head(key)) === null ? null : createReadStream(pathOf(key));
    },
    head: (key) => translated(root, () => head(key)),
    delete: (key) =>
      translated(root, async () => {
        const path = pathOf(key);
        await rm(path, { force: true });
        await orNull(() => syncFolder(dirname(path)));
      }),
    async *list(prefix) {
      const names = (await orNull(() => readdir(root, { recursive: true }))) ?? [];
      const keys = names.map((name) => name.split(sep).join("/"));
      const wanted = keys.filter((key) => key.startsWith(prefix) && !key.includes(UNFINISHED));
      for (const key of wanted.sort()) {
        const found = await head(key);
        if (found !== null) yield found;
      }
    },
    grantPut: async () => null,
    close: () => undefined,
  };
}

/** Temporary file, fsync, rename, fsync of the folder: whole or not there, also after a power cut. */
async function write(path: string, content: Buffer, root: string, id: string): Promise<void> {
  const parent = dirname(path);
  const made = await mkdir(parent, { recursive: true, mode: 0o700 });
  const temporary = `${path}${UNFINISHED}-${id}`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(parent);
  if (made === undefined) return;
  for (let above = dirname(parent); above.startsWith(root); above = dirname(above)) {
    await syncFolder(above);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return null;
    throw error;
  }
}

async function translated<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
      throw new PorchlightError("objects.denied", `we may not write to ${root} (${code})`, {
        hint: "give the folder to the user that runs porchlight-cloud, or set objects.folder",
        cause: error,
      });
    }
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    throw new PorchlightError("objects.full", `${root} has no room`, {
      remedy: "retry",
      hint: "make room on its disk: it goes on by itself",
      cause: error,
    });
  }
}
