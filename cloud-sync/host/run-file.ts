/** The run file: the addresses of a running centre, for other commands on the same folder. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { replaceFile } from "./atomic-file.ts";
import { heirOf, makeFolder } from "./heir.ts";
import { isAlive } from "./process-alive.ts";

const runSchema = z.strictObject({
  /** Its process: a run file whose process has ended is stale. */
  pid: z.int(),
  database: z.string(),
  mqtt: z.string(),
  http: z.string(),
  /** Absent in the run file of an earlier version. */
  metrics: z.string().optional(),
});
export type Run = z.infer<typeof runSchema>;

export function writeRun(data: string, run: Run): void {
  const path = pathIn(data);
  // With servers of others, nothing else may have been put there yet.
  makeFolder(resolve(data));
  replaceFile(path, `${JSON.stringify(run)}\n`, { mode: 0o644, ...heirOf(data) });
}

/** Leaves the run file of another centre alone. */
export function removeRun(data: string, pid: number): void {
  if (readRun(data)?.pid === pid) rmSync(pathIn(data), { force: true });
}

/** Null where no centre runs on this folder. */
export function readRun(data: string): Run | null {
  const path = pathIn(data);
  if (!existsSync(path)) return null;
  const run = runSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data;
  return run !== undefined && isAlive(run.pid) ? run : null;
}

function pathIn(data: string): string {
  return join(resolve(data), "centre.json");
}
