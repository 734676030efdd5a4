/** A base backup, taken while the database is written to: the low-level API of PostgreSQL (25.3.3). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import type { Connection, Database } from "../postgres/database.ts";
import type { Vessel } from "./vessel.ts";
import { shipWal, WAL } from "./wal.ts";

export const BASE = "backup/base/";
/** In memory a few times: plain, packed, sealed. */
const PART_BYTES = 16 * 1024 * 1024;

export const manifestSchema = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(/^\d{8}T\d{6}Z$/),
  startedAt: z.iso.datetime(),
  /** No earlier state can be restored from it. */
  finishedAt: z.iso.datetime(),
  /** Of the server that made it. */
  postgres: z.int(),
  /** The first and the last segment that it needs. */
  firstWal: z.string(),
  lastWal: z.string(),
  parts: z.int().min(1),
  bytes: z.int(),
  label: z.string(),
});
export type Manifest = z.infer<typeof manifestSchema>;

export interface BaseOptions {
  readonly database: Database;
  readonly vessel: Vessel;
  /** Of the centre: `postgres/data`, `keys` and `tls` are in it. */
  readonly data: string;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** What of a data folder a copy does not need, or must not have (25.3.3.2). */
const WITHOUT = [
  ...["pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots"],
  ...["pg_stat_tmp", "pg_subtrans"],
].map((folder) => `--exclude=postgres/data/${folder}/*`);
const EXCLUDED = [
  ...WITHOUT,
  "--exclude=postgres/data/postmaster.pid",
  "--exclude=postgres/data/postmaster.opts",
  "--exclude=pgsql_tmp*",
  // The key of the backup is not in the backup.
  "--exclude=keys/backup.key",
];

const SETTINGS = `SELECT current_setting('archive_mode') AS archiving,
  current_setting('server_version_num')::int AS version`;
const START = `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`;
const settingsSchema = z.object({ archiving: z.string(), version: z.int() });
const startedSchema = z.object({ segment: z.string() });
const stoppedSchema = z.object({ label: z.string(), segment: z.string() });

/** Throws `backup.archiving` where the running server does not keep its log. */
export async function createBase(options: BaseOptions): Promise<Manifest> {
  const { database, vessel, now, signal } = options;
  const { archiving, version } = settingsSchema.parse((await database.query(SETTINGS))[0]);
  if (archiving !== "on") {
    throw new PorchlightError(
      "backup.archiving",
      "the running database does not keep its log yet",
      {
        hint: "start the centre again with backup.folder or backup.url set; then: porchlight-cloud backup create",
      },
    );
  }
  const startedAt = new Date(now()).toISOString();
  const id = startedAt.replace(/[-:]|\.\d+/g, "");
  const copied = await database.transaction(async (connection) => {
    await connection.query(START);
    const first = await started(connection, id);
    const size = await copyFolders(options, id);
    return { first, ...size, ...(await stopped(connection)) };
  }, signal);
  await shippedUpTo(copied.segment, options);
  const manifest = manifestSchema.parse({
    format: 1,
    id,
    startedAt,
    finishedAt: new Date(now()).toISOString(),
    postgres: Math.floor(version / 10_000),
    firstWal: copied.first,
    lastWal: copied.segment,
    parts: copied.parts,
    bytes: copied.bytes,
    label: copied.label,
  });
  // Last: a backup without it is none.
  await vessel.put(`${BASE}${id}/manifest`, Buffer.from(JSON.stringify(manifest)));
  return manifest;
}

async function started(connection: Connection, id: string): Promise<string> {
  const [row] = await connection.query(
    "SELECT pg_walfile_name(pg_backup_start($1, fast => true)) AS segment",
    [`porchlight ${id}`],
  );
  return startedSchema.parse(row).segment;
}

async function stopped(connection: Connection): Promise<{ label: string; segment: string }> {
  const [row] = await connection.query(
    `SELECT labelfile AS label, pg_walfile_name(lsn) AS segment
     FROM pg_backup_stop(wait_for_archive => true)`,
  );
  return stoppedSchema.parse(row);
}

/** What tar says of files that change or go while it reads is expected: the log mends that. */
async function copyFolders({ vessel, data, signal }: BaseOptions, id: string) {
  const folders = ["postgres/data", "keys", "tls"].filter((name) => existsSync(join(data, name)));
  const words = ["--create", "--file=-", "--numeric-owner", "--warning=no-file-changed"];
  const places = ["--warning=no-file-removed", `--directory=${resolve(data)}`];
  const child = spawn("tar", [...words, ...places, ...EXCLUDED, ...folders], {
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = `${complaint}${text}`.slice(-500);
  });
  const ended = once(child, "close");
  const size = await putParts(child.stdout, (name, part) => vessel.put(name, part), id);
  const [code] = await ended;
  // 1: a file was not the same all the time.
  if (code === 0 || code === 1) return size;
  throw new PorchlightError("backup.copy", `tar ended with ${code}: ${complaint.trim()}`, {
    hint: "may this user read the data folder? run the command as its owner, or as root",
  });
}

async function putParts(
  stream: Readable,
  put: (name: string, part: Buffer) => Promise<void>,
  id: string,
): Promise<{ readonly parts: number; readonly bytes: number }> {
  let [parts, bytes, held] = [0, 0, 0];
  let chunks: Buffer[] = [];
  const flush = async (): Promise<void> => {
    await put(partName(id, ++parts), Buffer.concat(chunks));
    [chunks, held] = [[], 0];
  };
  for await (const chunk of stream) {
    chunks.push(chunk);
    held += chunk.length;
    bytes += chunk.length;
    if (held >= PART_BYTES) await flush();
  }
  if (held > 0) await flush();
  return { parts, bytes };
}

export function partName(id: string, part: number): string {
  return `${BASE}${id}/part-${String(part).padStart(6, "0")}`;
}

/** The archiver has handed it over: whoever comes first, we or the centre, brings it. */
async function shippedUpTo(segment: string, { vessel, data, signal }: BaseOptions): Promise<void> {
  const folder = join(resolve(data), "postgres");
  while (!(await vessel.has(`${WAL}${segment}`))) {
    signal.throwIfAborted();
    if ((await shipWal(folder, vessel)) === 0) await pause(200, signal);
  }
}

/** Newest last. What has no manifest was never finished. */
export async function listBases(vessel: Vessel): Promise<readonly Manifest[]> {
  const found: Manifest[] = [];
  for await (const { key } of vessel.list(BASE)) {
    if (!key.endsWith("/manifest")) continue;
    found.push(manifestSchema.parse(JSON.parse((await vessel.get(key)).toString("utf8"))));
  }
  return found.sort((a, b) => a.id.localeCompare(b.id));
}
