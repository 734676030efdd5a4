import { confirmation } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT, invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { signingKeyPath } from "../config/paths.ts";
import { type AckedStore, createAckedStore, UNSIGNED_SITE } from "../log/acked.ts";
import { deviceOf } from "../log/device-of.ts";
import type { OpenLog } from "../log/open-log.ts";
import { readAnswerVerifier } from "../vault/site-key.ts";
import { type Verb, verb } from "./verb.ts";

/** The centre has other entries in the places of our last ones, or may have. */
const PARTED: readonly (string | null)[] = ["fork", "behind"];

/**
 * The last place that both ends are sure to know: the head, unless the two have parted; then what
 * the centre has acknowledged, or the entry that opened the log.
 */
function parentFor({ log, reader }: OpenLog, site: AckedStore): Cursor {
  const head = log.head();
  if (!PARTED.includes(site.halted())) return head;
  const acked = site.read()?.cursor;
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
    const device = deviceOf(opened.reader);
    if (device === null) {
      throw new PorchlightError("log.unreadable", "the first entry of this log cannot be read", {
        hint: "see what is wrong: porchlight log verify",
      });
    }
    const site = readAnswerVerifier(signingKeyPath(config()))?.site ?? UNSIGNED_SITE;
    const parent = parentFor(opened, createAckedStore(opened.database, site));
    const left = opened.log.head().seq - parent.seq;
    const begun = opened.log.begin(device, parent);
    const kept = left === 0 ? "" : `; ${left} entries of the old one stay on this device alone`;
    const words = `the log ${begun.log} follows entry ${parent.seq} of ${parent.log}${kept}`;
    terminal.data({ log: begun.log, parent, left }, words);
    return EXIT.ok;
  },
});
