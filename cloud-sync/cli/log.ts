import { once } from "node:events";
import { number, text } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { CentralLog, LogState } from "../log/event-log.ts";
import { withArchiveReader } from "./archive.ts";
import { type Verb, verb } from "./verb.ts";

/** The logs that were asked for: of one device, a single one, or all; oldest first. */
async function chosen(
  log: CentralLog,
  { device, id }: { readonly device?: string | undefined; readonly id?: string | undefined },
): Promise<readonly LogState[]> {
  const all = await log.logs();
  const some = all.filter(
    (each) =>
      (device === undefined || each.device === device) && (id === undefined || each.log === id),
  );
  if (some.length > 0 || (device === undefined && id === undefined)) return some;
  const what = id === undefined ? `of the device ${device}` : id;
  throw new PorchlightError("log.unknown", `there is no log ${what} here`, {
    exitCode: EXIT.notFound,
    hint: "see which there are: porchlight-cloud log list",
  });
}

const DEVICE = {
  device: text("ID", "only of this device"),
  log: text("ID", "only this log"),
};

export const logList: Verb = verb({
  name: "log list",
  summary: "every log, its head here, and whether it is forked",
  options: { device: text("ID", "only of this device") },
  example: "porchlight-cloud log list",
  operands: NO_OPERANDS,
  async run({ centre, values, terminal }) {
    const { log } = await centre();
    const logs = await chosen(log, { device: values.device });
    const rows = logs.map(({ log: id, device, seq, parent, frozenAt }) => [
      id,
      device,
      `${seq}`,
      parent === null ? "-" : `${parent.log} ${parent.seq}`,
      frozenAt === null ? "-" : `frozen ${dateOf(frozenAt.getTime())}`,
    ]);
    terminal.data(logs, table(["log", "device", "entries", "follows", "state"], rows));
    return EXIT.ok;
  },
});

export const logVerify: Verb = verb({
  name: "log verify",
  summary:
    "read and hash what is stored, archived months too; name the first entry that is wrong in each log",
  options: DEVICE,
  example: "porchlight-cloud log verify --device 0b6f…",
  operands: NO_OPERANDS,
  run: (invocation) =>
    withArchiveReader(invocation, async (archived) => {
      const { centre, values, terminal } = invocation;
      const { log } = await centre();
      const which = { device: values.device, id: values.log };
      const logs = await chosen(log, which);
      const reports = [];
      for (const [i, { log: id, device }] of logs.entries()) {
        terminal.progress("verifying", i, logs.length);
        reports.push({ log: id, device, ...(await log.verify(id, [], archived)) });
      }
      terminal.progress("verifying", logs.length, logs.length);
      const lines = reports.map(({ log: id, entries, emptied, fault }) =>
        fault === null
          ? `${id} is whole: ${entries} entries${emptied === 0 ? "" : `, ${emptied} of them shed`}`
          : `${id}: entry ${fault.seq} is wrong (${fault.kind}): ${fault.detail}`,
      );
      terminal.data(reports, lines.join("\n") || "there are no logs yet");
      return reports.every(({ fault }) => fault === null) ? EXIT.ok : EXIT.failed;
    }),
});

export const logExport: Verb = verb({
  name: "log export",
  summary: "print every entry on a line of its own, byte for byte as the device hashed it",
  options: {
    ...DEVICE,
    after: number("SEQ", "of each log only what comes after this entry", {
      fallback: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    }),
  },
  example: "porchlight-cloud log export --device 0b6f… > door.log",
  operands: NO_OPERANDS,
  run: (invocation) =>
    withArchiveReader(invocation, async (archived) => {
      const { centre, values, signal } = invocation;
      const { log } = await centre();
      const after = values.after;
      const which = { device: values.device, id: values.log };
      for (const { log: id } of await chosen(log, which)) {
        for await (const lines of log.export(id, after, archived)) {
          const more = process.stdout.write(lines.map((line) => `${line}\n`).join(""));
          if (!more) await once(process.stdout, "drain", { signal });
        }
      }
      return EXIT.ok;
    }),
});

export const logForks: Verb = verb({
  name: "log forks",
  summary: "both branches of a forked log, entry by entry, where they differ",
  options: {},
  example: "porchlight-cloud log forks 7c1e… --json",
  operands: oneOperand("<log>"),
  async run({ centre, operands, terminal }) {
    const { log, deadLetters } = await centre();
    const [id = ""] = operands;
    await chosen(log, { id });
    const forks = await deadLetters.forks(id);
    const rows = forks.map(({ seq, stored, other, receivedAt }) => [
      `${seq}`,
      stored?.slice(0, 16) ?? "-",
      other.slice(0, 16),
      dateOf(receivedAt.getTime()),
    ]);
    terminal.data(forks, table(["entry", "stored", "forked", "received"], rows));
    return EXIT.ok;
  },
});
