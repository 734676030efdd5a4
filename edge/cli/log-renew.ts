import { confirmation } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT, invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { readStatus } from "../agent/status-file.ts";
import { syncStatusPath } from "../config/paths.ts";
import { createAckedStore } from "../log/acked.ts";
import type { OpenLog } from "../log/open-log.ts";
import { deviceOf } from "./device-of.ts";
import { type Verb, verb } from "./verb.ts";

/** The centre has other entries in the places of our last ones, or may have. */
const PARTED: readonly (string | null | undefined)[] = ["fork", "behind"];

/**
 * The last place that both ends are sure to know: the head, unless the two have parted; then what
 * the centre has acknowledged, or the entry that opened the log.
 */
function parentFor({ log, reader, database }: OpenLog, parted: boolean): Cursor {
  const head = log.head();
  if (!parted) return head;
  const acked = createAckedStore(database).read()?.cursor;
  const first = reader.find(head.log, 1);
  invariant(first !== null, "a log has a first entry");
  return acked?.log === head.log && acked.seq > 0 ? acked : first;
}

export const logRenew: Verb = verb({
  name: "log renew",
  summary: "start a new log, after a backup was restored and the centre has a divergent history",
  options: { yes: confirmation("the old log ends here for good") },
  example: "porchlight log renew --yes",
  operands: NO_OPERANDS,
  async run({ openedLog, config, terminal }) {
    const opened = openedLog();
    const device = deviceOf(opened);
    if (device === null) {
      throw new PorchlightError("log.unreadable", "the first entry of this log cannot be read", {
        hint: "see what is wrong: porchlight log verify",
      });
    }
    const halted = readStatus(syncStatusPath(config()))?.halted;
    const parent = parentFor(opened, PARTED.includes(halted));
    const left = opened.log.head().seq - parent.seq;
    const begun = opened.log.begin(device, parent);
    const kept = left === 0 ? "" : `; ${left} entries of the old one stay on this device alone`;
    const words = `the log ${begun.log} follows entry ${parent.seq} of ${parent.log}${kept}`;
    terminal.data({ log: begun.log, parent, left }, words);
    return EXIT.ok;
  },
});
