import { statSync } from "node:fs";

const GROUP_AND_WORLD = 0o077;

/** Whether others than its owner may read, change or run a file that holds a secret. */
export function isExposed(path: string): boolean {
  return (statSync(path).mode & GROUP_AND_WORLD) !== 0;
}
