/**
 * The disk reserve: space kept for presses and visits, and released when everything else is full.
 */
import { closeSync, existsSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { publishFile } from "../host/atomic-file.ts";
import { isDiskFull } from "../host/disk-full.ts";

export interface DiskReserve {
  /**
   * Whether the disk is full: the reserve was released, and there is not enough space to restore
   * it.
   */
  full(): boolean;
  /** Runs a write; where the disk is full, releases the reserve and retries once. */
  run<T>(write: () => T): T;
  /** Restores the reserve, if the disk has the space; returns whether it is there. */
  restore(): boolean;
}

export interface DiskReserveOptions {
  readonly path: string;
  /** Of random bytes: file systems that compress would keep no room for anything else. */
  readonly randomBytes: (size: number) => Uint8Array;
}

/** About a hundred visits with their crops, or 2,000 presses, write-ahead logs included. */
export const RESERVE_BYTES = 16 * 1024 * 1024;
/** Made only where as much again stays free, or the next write would take it back. */
const FREE_BYTES_LEAST = 2 * RESERVE_BYTES;
const CHUNK_BYTES = 1024 * 1024;

export function createDiskReserve({ path, randomBytes }: DiskReserveOptions): DiskReserve {
  const kept = (): boolean => existsSync(path);
  const hasRoom = (): boolean => {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize >= FREE_BYTES_LEAST;
  };
  return {
    full: () => !kept() && !hasRoom(),
    run(write) {
      try {
        return write();
      } catch (error) {
        if (!isDiskFull(error) || !kept()) throw error;
        rmSync(path);
        return write();
      }
    },
    restore() {
      if (kept()) return true;
      if (!hasRoom()) return false;
      try {
        fill(`${path}.new`, randomBytes);
        publishFile(`${path}.new`, path);
        return true;
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        rmSync(`${path}.new`, { force: true });
        return false;
      }
    },
  };
}

function fill(path: string, randomBytes: (size: number) => Uint8Array): void {
  const file = openSync(path, "w", 0o600);
  try {
    for (let left = RESERVE_BYTES; left > 0; left -= CHUNK_BYTES) {
      writeSync(file, randomBytes(CHUNK_BYTES));
    }
  } finally {
    closeSync(file);
  }
}
