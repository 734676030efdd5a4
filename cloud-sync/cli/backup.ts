import { resolve } from "node:path";
import { confirmation, text, usageError } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { createBase, listBases, type Manifest } from "../backup/base.ts";
import { openBackup, placeKey } from "../backup/open.ts";
import { restoreBase } from "../backup/restore.ts";
import { keptWal, verifyBase, walFrom } from "../backup/verify.ts";
import type { Vessel } from "../backup/vessel.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

async function withBackup<T>(
  { config }: Invocation,
  make: "make" | "read",
  work: (vessel: Vessel) => Promise<T>,
): Promise<T> {
  const vessel = openBackup(config(), make);
  try {
    await vessel.open();
    return await work(vessel);
  } finally {
    vessel.close();
  }
}

export const backupCreate: Verb = verb({
  name: "backup create",
  summary: "copy the embedded database, its keys and certificates, while the centre runs",
  options: {},
  example: "porchlight-cloud backup create",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { config, centre, terminal, signal } = invocation;
    return await withBackup(invocation, "make", async (vessel) => {
      const { database } = await centre();
      const { data } = config();
      const manifest = await createBase({ database, vessel, data, now: systemClock.now, signal });
      const { id } = manifest;
      const words = `${id}: ${bytes(manifest.bytes)} in ${vessel.place}\nkeep a copy of its key elsewhere: ${resolve(config().backup.key ?? `${data}/keys/backup.key`)}`;
      terminal.data({ ...manifest, place: vessel.place }, words);
      return EXIT.ok;
    });
  },
});

export const backupList: Verb = verb({
  name: "backup list",
  summary: "base backups, and how much of the log after each is kept",
  options: {},
  example: "porchlight-cloud backup list",
  operands: NO_OPERANDS,
  async run(invocation) {
    return await withBackup(invocation, "read", async (vessel) => {
      const bases = await listBases(vessel);
      const kept = await keptWal(vessel);
      const found = bases.map((base) => ({
        ...base,
        segments: walFrom(base.firstWal, kept).length,
      }));
      const rows = found.map(({ id, finishedAt, bytes: size, segments }) => [
        id,
        dateOf(Date.parse(finishedAt)),
        bytes(size),
        String(segments),
      ]);
      const header = ["backup", "restores from", "size", "log segments since"];
      invocation.terminal.data(found, table(header, rows));
      return EXIT.ok;
    });
  },
});

export const backupVerify: Verb = verb({
  name: "backup verify",
  summary: "read a backup and all of the log after it, and say whether both are whole",
  options: { id: text("ID", "as backup list shows it (default: the newest)") },
  example: "porchlight-cloud backup verify",
  operands: NO_OPERANDS,
  async run(invocation) {
    return await withBackup(invocation, "read", async (vessel) => {
      const manifest = chosen(await listBases(vessel), invocation.values.id, null);
      const verified = await verifyBase(vessel, manifest);
      const words = `${verified.id} is whole: ${bytes(verified.bytes)}, ${verified.segments} log segments`;
      invocation.terminal.data(verified, words);
      return EXIT.ok;
    });
  },
});

export const backupRestore: Verb = verb({
  name: "backup restore",
  summary: "make a centre again in the empty folder --data, as it was at a time",
  options: {
    at: text("TIME", "as it was then: 2026-11-29T05:00:00Z (default: the newest there is)"),
    id: text("ID", "from this backup (default: the newest before that time)"),
    yes: confirmation("restore it; what devices sent since, they send again"),
  },
  example: "porchlight-cloud backup restore --at 2026-11-29T05:00:00Z --data ./restored --yes",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { config, values, terminal, logger, signal } = invocation;
    const at = values.at === undefined ? null : timeOf(values.at);
    const { data } = config();
    return await withBackup(invocation, "read", async (vessel) => {
      const manifest = chosen(await listBases(vessel), values.id, at);
      terminal.note(`from ${manifest.id} into ${resolve(data)}`);
      const { random } = Math;
      await restoreBase({ vessel, manifest, data, at, logger, random, signal });
      placeKey(config(), data);
      const lines = [
        `${resolve(data)} is as it was ${at === null ? "when the newest log was kept" : `at ${at.toISOString()}`}`,
        `next: porchlight-cloud log verify --data ${data}; then start it there`,
      ];
      terminal.data({ id: manifest.id, data: resolve(data), at }, lines.join("\n"));
      return EXIT.ok;
    });
  },
});

function timeOf(typed: string): Date {
  const ms = Date.parse(typed);
  if (Number.isNaN(ms) || !/^\d{4}-\d{2}-\d{2}T.*(Z|[+-]\d{2}:?\d{2})$/.test(typed)) {
    throw usageError("--at is a time with its zone: 2026-11-29T05:00:00Z");
  }
  return new Date(ms);
}

function chosen(bases: readonly Manifest[], id: string | undefined, at: Date | null): Manifest {
  const before = bases.filter(
    ({ finishedAt }) => at === null || Date.parse(finishedAt) <= at.getTime(),
  );
  const found = id === undefined ? before.at(-1) : bases.find((each) => each.id === id);
  if (found !== undefined) return found;
  const text = id === undefined ? "there is no backup from before" : `there is no backup ${id}`;
  throw new PorchlightError("backup.unknown", text, {
    exitCode: EXIT.notFound,
    hint: "see which there are: porchlight-cloud backup list",
  });
}
