/** Commands that root runs beside a centre of another user must leave nothing that it cannot use. */
import { lchownSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { systemCodeOf } from "../../shared/core/errors.ts";
import type { FileAttributes } from "./atomic-file.ts";

/** Whose whatever root makes in this folder is to be: its owner's. Nothing for everybody else. */
export function heirOf(folder: string): Pick<FileAttributes, "owner"> {
  if (process.geteuid?.() !== 0) return {};
  const { uid, gid } = nearest(resolve(folder));
  return uid === 0 ? {} : { owner: { uid, gid } };
}

/** Makes a folder, and those above it that are not there: theirs who own the first that is. */
export function makeFolder(folder: string, mode = 0o700): void {
  const { owner } = heirOf(folder);
  const made = mkdirSync(folder, { recursive: true, mode });
  if (made === undefined || owner === undefined) return;
  for (let path = resolve(folder); path.length >= made.length; path = dirname(path)) {
    lchownSync(path, owner.uid, owner.gid);
  }
}

/** Gives a file or a link that was just made to them. */
export function bequeath(path: string): void {
  const { owner } = heirOf(dirname(path));
  if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
}

function nearest(path: string): { readonly uid: number; readonly gid: number } {
  try {
    return statSync(path);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    return nearest(dirname(path));
  }
}
