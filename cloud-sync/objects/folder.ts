/** Objects as files in a folder, for a centre without S3. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, link, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import { PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { heirOf, makeFolder } from "../host/heir.ts";
import {
  checkedKey,
  type ObjectHead,
  type ObjectStore,
  type UploadGrant,
  type UploadWish,
} from "./object-store.ts";

/** A file that is not whole yet; what a crash has left of it is never listed. */
const UNFINISHED = ".unfinished";

export interface FolderOptions {
  readonly folder: string;
  /** Distinguishes files that are written at the same time. */
  readonly newId: () => string;
  /** Upload grants, where our own server receives the objects. */
  readonly grant?: (wish: UploadWish) => UploadGrant;
}

/** What has become of an upload: `there` is never written over, and `other` bytes are not kept. */
export type Received = "stored" | "there" | "other";

export interface FolderStore extends ObjectStore {
  /** Takes in what was granted, hashed while it comes. Throws when it ends too soon. */
  receive(wish: Omit<UploadWish, "expiresInS">, body: Readable): Promise<Received>;
}

export function createFolderStore({ folder, newId, grant }: FolderOptions): FolderStore {
  const root = resolve(folder);
  const pathOf = (key: string): string => join(root, ...checkedKey(key).split("/"));
  const head = async (key: string): Promise<ObjectHead | null> => {
    const found = await orNull(() => stat(pathOf(key)));
    return found?.isFile() ? { key, bytes: found.size } : null;
  };
  const receive = async (
    path: string,
    { sha256, bytes }: Omit<UploadWish, "expiresInS">,
    body: Readable,
  ): Promise<Received> => {
    if ((await orNull(() => stat(path))) !== null) return "there";
    let received: Received = "other";
    await write(path, root, newId(), {
      async fill(file) {
        const got = await pour(body, file, bytes);
        if (got === sha256) received = "stored";
      },
      async place(temporary, target) {
        // A link, unlike a rename, never takes the place of what is there.
        if (received === "stored" && !(await linked(temporary, target))) received = "there";
        await rm(temporary);
      },
    });
    return received;
  };
  return {
    place: root,
    open: () => translated(root, async () => makeFolder(root)),
    put: (key, content) =>
      translated(root, () =>
        write(pathOf(key), root, newId(), {
          fill: (file) => file.writeFile(content),
          place: rename,
        }),
      ),
    receive: (wish, body) => translated(root, () => receive(pathOf(wish.key), wish, body)),
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
    grantPut: async (wish) => grant?.({ ...wish, key: checkedKey(wish.key) }) ?? null,
    close: () => undefined,
  };
}

/** Writes a stream down; its SHA-256, or null when it is longer than it was to be. */
async function pour(body: Readable, file: FileHandle, bytesMax: number): Promise<string | null> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of body) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > bytesMax) return null;
    hash.update(part);
    await file.writeFile(part);
  }
  return bytes === bytesMax ? hash.digest("hex") : null;
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "EEXIST") return false;
    throw error;
  }
}

interface Content {
  readonly fill: (file: FileHandle) => Promise<void>;
  /** Gives the file, which is whole now, its name. */
  readonly place: (temporary: string, path: string) => Promise<void>;
}

/** Temporary file, fsync, rename, fsync of the folder: whole or not there, also after a power cut. */
async function write(
  path: string,
  root: string,
  id: string,
  { fill, place }: Content,
): Promise<void> {
  const parent = dirname(path);
  const isNew = (await orNull(() => stat(parent))) === null;
  if (isNew) makeFolder(parent);
  const temporary = `${path}${UNFINISHED}-${id}`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      const { owner } = heirOf(parent);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(parent);
  if (!isNew) return;
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
      throw new PorchlightError("objects.denied", `no permission to write to ${root} (${code})`, {
        hint: "give the folder to the user that runs porchlight-cloud, or set objects.folder",
        cause: error,
      });
    }
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    throw new PorchlightError("objects.full", `the disk of ${root} is full`, {
      remedy: "retry",
      hint: "make room on its disk: writes resume by themselves",
      cause: error,
    });
  }
}
