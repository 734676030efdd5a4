import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { text, usageError } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, messageOf } from "../../shared/core/errors.ts";
import type { Witness } from "../../shared/log/chain.ts";
import { storeOptions } from "../config/options.ts";
import { keySources } from "../config/paths.ts";
import { keyPath } from "../host/key-file.ts";
import { ackedWitnesses } from "../log/acked.ts";
import type { OpenLog } from "../log/open-log.ts";
import { createLogReader } from "../log/reader.ts";
import type { LogReport } from "../log/verify.ts";
import { explained } from "../sqlite/failure.ts";
import { readFollowed } from "../vault/followed.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** Witnesses of the log, and those that could not be asked. */
interface Heard {
  readonly witnesses: readonly Witness[];
  readonly unheard: readonly { readonly from: string; readonly reason: string }[];
}

/** A head that was noted down; without its log it is of the one that has this very entry. */
function noted(given: string, { log, database }: OpenLog): Witness {
  const [, id, seq, hash] = /^(?:([0-9a-f-]{36}):)?(\d{1,15}):([0-9a-f]{64})$/.exec(given) ?? [];
  if (seq === undefined || hash === undefined) {
    throw usageError("--head is LOG:SEQ:HASH, as log verify prints it, or SEQ:HASH");
  }
  const place = { seq: Number(seq), hash, from: "--head" };
  if (id !== undefined) return { log: id, ...place };
  const reader = createLogReader(database);
  const owner = reader.lives().find((life) => reader.find(life, place.seq)?.hash === hash);
  return { log: owner ?? log.head().log, ...place };
}

/** The vault's own word, without letting it follow a log that may be wrong. */
function vaultsWord({ config, environment }: Invocation): Heard {
  const from = "the vault";
  const file = keyPath("vault-key", keySources("vault-key", config(), environment));
  if (!existsSync(file)) {
    return { witnesses: [], unheard: [{ from, reason: "its key is not here" }] };
  }
  try {
    const options = storeOptions(config(), environment, systemClock, randomUUID);
    const followed = readFollowed(options).filter(({ seq }) => seq > 0);
    return { witnesses: followed.map((place) => ({ ...place, from })), unheard: [] };
  } catch (error) {
    return { witnesses: [], unheard: [{ from, reason: messageOf(explained(error)) }] };
  }
}

/** One line for each life that is wrong, or that all are whole. */
export function verdictOf({ lives, entries, emptied, fault }: LogReport): string[] {
  const wrong = lives.flatMap(({ log, fault: own }) => (own === null ? [] : [{ log, ...own }]));
  const all = wrong.length > 0 || fault === null ? wrong : [fault];
  const of = lives.length === 1 ? () => "" : (log: string) => ` of the log ${log}`;
  if (all.length > 0) {
    return all.map(
      ({ log, seq, kind, detail }) => `entry ${seq}${of(log)} is wrong (${kind}): ${detail}`,
    );
  }
  const count = lives.length === 1 ? "" : ` in ${lives.length} lives`;
  const shed = emptied === 0 ? "" : `, ${emptied} of them shed`;
  return [`the log is whole: ${entries} entries${count}${shed}`];
}

function witnessWords({ witnesses, unheard }: Heard): string[] {
  const heard = witnesses.map(({ from, seq }) => `${from} (entry ${seq})`);
  const silent = unheard.map(({ from, reason }) => `not asked     ${from}: ${reason}`);
  if (heard.length > 0) return [`witnesses     ${heard.join(", ")}`, ...silent];
  return ["witnesses     none: an end that was cut off would not be seen", ...silent];
}

export const logVerify: Verb = verb({
  name: "log verify",
  summary: "read and hash the whole log, all its lives; name the first entry that is wrong",
  options: { head: text("LOG:SEQ:HASH", "a place the log must contain, noted down elsewhere") },
  example: "porchlight log verify",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { terminal, openedLog, values } = invocation;
    const opened = openedLog();
    const vault = vaultsWord(invocation);
    const given = values.head === undefined ? [] : [noted(values.head, opened)];
    const witnesses = [...given, ...vault.witnesses, ...ackedWitnesses(opened.database)];
    const started = performance.now();
    const report = opened.log.verify(witnesses);
    const seconds = (performance.now() - started) / 1000;
    const { fault, head, entries } = report;
    const rate = Math.round(entries / Math.max(seconds, 0.001)).toLocaleString("en");
    const lines = [
      ...verdictOf(report),
      ...(fault === null ? [`head          ${head.log}:${head.seq}:${head.hash}`] : []),
      ...witnessWords({ ...vault, witnesses }),
      `read          ${rate} entries/s`,
    ];
    const facts = { ...report, log: head.log, seconds, witnesses, unheard: vault.unheard };
    terminal.data(facts, lines.join("\n"));
    return fault === null ? EXIT.ok : EXIT.failed;
  },
});
