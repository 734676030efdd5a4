/** A centre made again from a backup, as it was at a time. */
import {
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import { heirOf, makeFolder } from "../host/heir.ts";
import { type Account, prepareFolder } from "../postgres/account.ts";
import { createDatabase } from "../postgres/database.ts";
import { createEmbeddedPostgres } from "../postgres/embedded.ts";
import type { Manifest } from "./base.ts";
import { feedTar } from "./tar.ts";
import { keptWal, walFrom } from "./verify.ts";
import type { Vessel } from "./vessel.ts";
import { WAL } from "./wal.ts";

export interface RestoreOptions {
  readonly vessel: Vessel;
  readonly manifest: Manifest;
  /** A folder that is not there, or empty. */
  readonly data: string;
  /** Null: all that there is. */
  readonly at: Date | null;
  readonly logger: Logger;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

const INBOX = "wal-in";
const LOOK_EVERY_MS = 200;
const recoverySchema = z.object({ recovering: z.boolean() });

/** Throws `backup.target`, `backup.damaged`, `backup.missing` or `backup.recovery`. */
export async function restoreBase(options: RestoreOptions): Promise<void> {
  const data = resolve(options.data);
  if (existsSync(data) && readdirSync(data).length > 0) {
    throw new PorchlightError("backup.target", `${data} is not empty: nothing is written over`, {
      hint: "restore into another folder with --data; then start the centre there",
    });
  }
  makeFolder(data);
  try {
    await restoreInto({ ...options, data });
  } catch (error) {
    // Half a centre would be started by somebody.
    for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
    throw error;
  }
}

async function restoreInto(options: RestoreOptions): Promise<void> {
  const { vessel, manifest, data, logger } = options;
  await unpack(vessel, manifest, data);
  const postgres = join(data, "postgres");
  const inbox = join(postgres, INBOX);
  mkdirSync(inbox, { mode: 0o700 });
  for (const name of walFrom(manifest.firstWal, await keptWal(vessel))) {
    writeFileSync(join(inbox, name), await vessel.get(`${WAL}${name}`), { mode: 0o600 });
  }
  writeFileSync(join(postgres, "data", "backup_label"), manifest.label, { mode: 0o600 });
  writeFileSync(join(postgres, "data", "recovery.signal"), "", { mode: 0o600 });
  const { owner } = heirOf(data);
  if (owner !== undefined) giveTree(data, owner);
  const account = await prepareFolder(postgres, logger);
  if (account !== null) giveTree(postgres, account);
  await recover(options, postgres);
  rmSync(inbox, { recursive: true });
}

async function unpack(vessel: Vessel, manifest: Manifest, data: string): Promise<void> {
  const words = ["--extract", "--file=-", `--directory=${data}`, "--no-same-owner"];
  const { code, complaint } = await feedTar([...words, "--preserve-permissions"], vessel, manifest);
  if (code === 0) return;
  throw new PorchlightError("backup.recovery", `tar ended with ${code}: ${complaint}`, {
    hint: `is there room on the disk of ${data}? df -h ${data}`,
  });
}

/** Runs the server until it has read the log up to that time, and is a database of its own. */
async function recover(options: RestoreOptions, folder: string): Promise<void> {
  const { at, logger, random, signal } = options;
  // While settings are read, PostgreSQL knows no names of zones yet, and so no Z.
  const time = at?.toISOString().replace("T", " ").replace("Z", "+00");
  const target = time === undefined ? [] : [`recovery_target_time=${time}`];
  const settings = [
    `restore_command=cp ../${INBOX}/%f %p`,
    "recovery_target_action=promote",
    ...target,
  ];
  const embedded = createEmbeddedPostgres({ folder, logger, failed: () => undefined, settings });
  try {
    await embedded.start(signal);
    const database = createDatabase({ url: embedded.url, logger, random });
    try {
      const asked = "SELECT pg_is_in_recovery() AS recovering";
      const recovering = async (): Promise<boolean> =>
        recoverySchema.parse((await database.query(asked))[0]).recovering;
      while (await recovering()) await pause(LOOK_EVERY_MS, signal);
    } finally {
      await database.close();
    }
  } catch (cause) {
    const text = `the database could not be brought to that time: ${messageOf(cause)}`;
    throw new PorchlightError("backup.recovery", text, {
      hint: `a time between the backup and the newest log: porchlight-cloud backup list; then see ${join(folder, "server.log")}`,
      cause,
    });
  } finally {
    await embedded.stop();
  }
}

function giveTree(path: string, to: Account): void {
  lchownSync(path, to.uid, to.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTree(join(path, name), to);
}
