import { randomUUID } from "node:crypto";
import { confirmation } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, type ExitCode } from "../../shared/core/errors.ts";
import { readPublicKey } from "../keyring/site-key.ts";
import { type Archive, createArchive } from "../lifecycle/archive.ts";
import { archivedMonths, createArchiveReader } from "../lifecycle/archive-reader.ts";
import type { ArchiveReader } from "../log/event-log.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { openObjects } from "../objects/open.ts";
import { createSinks, namesOf } from "../sinks/registry.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

async function withObjects(
  { config }: Invocation,
  work: (objects: ObjectStore) => Promise<ExitCode>,
): Promise<ExitCode> {
  const objects = openObjects(config(), randomUUID);
  try {
    await objects.open();
    return await work(objects);
  } finally {
    objects.close();
  }
}

/** Lets a verb work with the archive, and closes the store behind it. */
async function withArchive(
  invocation: Invocation,
  work: (archive: Archive) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { database } = await invocation.centre();
  // Where there is a site's key, faces are a sink: whether one of them is opened or not.
  const opens = (await readPublicKey(database)) !== null;
  const opening = opens ? { openPersonal: async () => null } : {};
  const config = invocation.config();
  const names = namesOf(createSinks({ config, database, clock: systemClock, ...opening }));
  return await withObjects(invocation, (objects) =>
    work(createArchive({ database, objects, sinks: names, clock: systemClock })),
  );
}

/** Lets a verb read what left the database as well: undefined where nothing has. */
export async function withArchiveReader(
  invocation: Invocation,
  work: (archived: ArchiveReader | undefined) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { database } = await invocation.centre();
  const left = (await archivedMonths(database)).some(({ droppedAt }) => droppedAt !== null);
  if (!left) return await work(undefined);
  return await withObjects(invocation, (objects) => work(createArchiveReader(database, objects)));
}

const MONTH = oneOperand("<month>");

export const archiveList: Verb = verb({
  name: "archive list",
  summary: "months of the log in the object store, and those that could be there",
  options: {},
  example: "porchlight-cloud archive list",
  operands: NO_OPERANDS,
  run: (invocation) =>
    withArchive(invocation, async (archive) => {
      const [months, due] = [await archive.list(), await archive.due()];
      const rows = months.map(({ month, entries, archivedAt, droppedAt }) => [
        month,
        `${entries}`,
        dateOf(archivedAt.getTime()),
        droppedAt === null ? "in the database too" : `dropped ${dateOf(droppedAt.getTime())}`,
      ]);
      const waiting = due.map((month) => [month, "-", "not yet", "in the database"]);
      const facts = months.map((each) => ({ ...each, entries: Number(each.entries) }));
      const words = table(["month", "entries", "archived", "where"], [...rows, ...waiting]);
      invocation.terminal.data({ months: facts, due }, words);
      return EXIT.ok;
    }),
});

export const archiveCreate: Verb = verb({
  name: "archive create",
  summary: "archive finished months to the object store, and read them back",
  options: {},
  example: "porchlight-cloud archive create 2026-10",
  operands: { usage: "[month]", min: 0, max: 1 },
  run: (invocation) =>
    withArchive(invocation, async (archive) => {
      const { operands, signal, terminal } = invocation;
      const months = operands.length > 0 ? operands : await archive.due();
      for (const month of months) {
        const { files } = await archive.archive(month, signal);
        terminal.note(`${month}: ${files.length} files`);
      }
      terminal.data({ months }, months.length === 0 ? "no month is due" : "archived and read back");
      return EXIT.ok;
    }),
});

export const archiveVerify: Verb = verb({
  name: "archive verify",
  summary: "verify an archived month against its manifest and the database",
  options: {},
  example: "porchlight-cloud archive verify 2026-10",
  operands: MONTH,
  run: (invocation) =>
    withArchive(invocation, async (archive) => {
      const { operands, signal, terminal } = invocation;
      const [month = ""] = operands;
      const { files } = await archive.verify(month, signal);
      terminal.data({ month, files: files.length }, `${month} is whole: ${files.length} files`);
      return EXIT.ok;
    }),
});

export const archiveDrop: Verb = verb({
  name: "archive drop",
  summary: "delete an archived month from the database, once it was read back and no sink needs it",
  options: { yes: confirmation("the month is then in the object store alone") },
  example: "porchlight-cloud archive drop 2026-10 --yes",
  operands: MONTH,
  run: (invocation) =>
    withArchive(invocation, async (archive) => {
      const { operands, signal, terminal } = invocation;
      const [month = ""] = operands;
      await archive.drop(month, signal);
      terminal.data({ month, dropped: true }, `${month} is in the object store alone`);
      return EXIT.ok;
    }),
});

export const archiveRestore: Verb = verb({
  name: "archive restore",
  summary: "restore an archived month into the database: verify and export are as they were",
  options: {},
  example: "porchlight-cloud archive restore 2026-10",
  operands: MONTH,
  run: (invocation) =>
    withArchive(invocation, async (archive) => {
      const { operands, signal, terminal } = invocation;
      const [month = ""] = operands;
      await archive.restore(month, signal);
      terminal.data({ month, restored: true }, `${month} is restored into the database`);
      return EXIT.ok;
    }),
});
