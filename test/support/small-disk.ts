import { spawnSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { needs } from "./needs.ts";
import { tempFolder } from "./temp.ts";

/** A file system of its own, that can be filled to the last byte. */
export interface SmallDisk {
  readonly path: string;
  /** Writes until nothing more fits. */
  fill(): void;
  /** Takes away what fill has written. */
  free(): void;
  remove(): void;
}

/** Null, said aloud, where nobody may mount one. */
export function smallDisk(sizeMiB: number): SmallDisk | null {
  const folder = tempFolder("small-disk");
  const options = ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", folder.path];
  const { status } = spawnSync("mount", options);
  if (!needs(status === 0, "a small disk", "run as root, where tmpfs may be mounted")) {
    folder.remove();
    return null;
  }
  const filler = join(folder.path, "filler");
  return {
    path: folder.path,
    fill() {
      const file = openSync(filler, "a");
      try {
        for (let bytes = 1024 * 1024; bytes >= 1; ) {
          try {
            if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes >>= 1;
          } catch {
            bytes >>= 1; // it is full for this much
          }
        }
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(filler, { force: true }),
    remove() {
      spawnSync("umount", ["--lazy", folder.path]);
      folder.remove();
    },
  };
}
