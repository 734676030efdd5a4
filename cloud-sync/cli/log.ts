import { once } from "node:events";
import { table } from "../../shared/cli/terminal.ts";
import { number, text } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { CentralLog, LogState } from "../log/event-log.ts";
import { withAway } from "./archive.ts";
import type { Verb } from "./verb.ts";

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

const DEVICE = { device: { type: "string" }, log: { type: "string" } } as const;
const DEVICE_HELP = { "--device ID": "only of this device", "--log ID": "only this log" };

export const logList: Verb = {
  name: "log list",
  usage: "[--device ID]",
  summary: "every log, how far it is here, and whether its device told two stories",
  options: { device: { type: "string" } },
  optionHelp: { "--device ID": "only of this device" },
  example: "porchlight-cloud log list",
  operands: { min: 0, max: 0 },
  async run({ centre, values, terminal }) {
    const { log } = await centre();
    const logs = await chosen(log, { device: text(values, "device") });
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
};

export const logVerify: Verb = {
  name: "log verify",
  usage: "[--device ID] [--log ID]",
  summary:
    "read and hash what is stored, archived months too; name the first entry that is wrong in each log",
  options: DEVICE,
  optionHelp: DEVICE_HELP,
  example: "porchlight-cloud log verify --device 0b6f…",
  operands: { min: 0, max: 0 },
  run: (invocation) =>
    withAway(invocation, async (away) => {
      const { centre, values, terminal } = invocation;
      const { log } = await centre();
      const which = { device: text(values, "device"), id: text(values, "log") };
      const logs = await chosen(log, which);
      const reports = [];
      for (const [i, { log: id, device }] of logs.entries()) {
        terminal.progress("verifying", i, logs.length);
        reports.push({ log: id, device, ...(await log.verify(id, [], away)) });
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
};

export const logExport: Verb = {
  name: "log export",
  usage: "[--device ID] [--log ID] [--after SEQ]",
  summary: "print every entry on a line of its own, byte for byte as the device hashed it",
  options: { ...DEVICE, after: { type: "string" } },
  optionHelp: { ...DEVICE_HELP, "--after SEQ": "of each log only what comes after this entry" },
  example: "porchlight-cloud log export --device 0b6f… > door.log",
  operands: { min: 0, max: 0 },
  run: (invocation) =>
    withAway(invocation, async (away) => {
      const { centre, values, signal } = invocation;
      const { log } = await centre();
      const after = number(values, "after", { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER });
      const which = { device: text(values, "device"), id: text(values, "log") };
      for (const { log: id } of await chosen(log, which)) {
        for await (const lines of log.export(id, after, away)) {
          const more = process.stdout.write(lines.map((line) => `${line}\n`).join(""));
          if (!more) await once(process.stdout, "drain", { signal });
        }
      }
      return EXIT.ok;
    }),
};

export const logForks: Verb = {
  name: "log forks",
  usage: "<log>",
  summary: "both stories of a frozen log, entry by entry, where they differ",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud log forks 7c1e… --json",
  operands: { min: 1, max: 1 },
  async run({ centre, operands, terminal }) {
    const { log, shelf } = await centre();
    const [id = ""] = operands;
    await chosen(log, { id });
    const forks = await shelf.forks(id);
    const rows = forks.map(({ seq, stored, other, receivedAt }) => [
      `${seq}`,
      stored?.slice(0, 16) ?? "-",
      other.slice(0, 16),
      dateOf(receivedAt.getTime()),
    ]);
    terminal.data(forks, table(["entry", "stored", "told later", "received"], rows));
    return EXIT.ok;
  },
};
