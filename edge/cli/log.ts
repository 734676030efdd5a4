import { existsSync } from "node:fs";
import { flag, number, text, usageError } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import { lineOf, type Witness } from "../../shared/log/chain.ts";
import { parseEntry } from "../../shared/log/entry.ts";
import { keySources } from "../config/paths.ts";
import { keyPath } from "../host/key-file.ts";
import type { EventLog, StoredEntry } from "../log/event-log.ts";
import type { OpenLog } from "../log/open-log.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

const POLL_MS = 250;
const READ_ENTRIES = 1_000;

function* entriesAfter(log: EventLog, seq: number): Generator<StoredEntry> {
  let after = seq;
  for (;;) {
    const batch = log.readAfter(after, READ_ENTRIES);
    yield* batch;
    const last = batch.at(-1);
    if (last === undefined) return;
    after = last.seq;
  }
}

function wordsOf(stored: StoredEntry): string {
  if (stored.body === null) return `${stored.seq}  (shed)`;
  const { seq, at, clock, type, actor, data, sealed } = parseEntry(stored.body);
  const time = `${dateOf(at)}${clock === "unsynced" ? "?" : ""}`;
  const under = sealed === null ? "" : `  sealed: ${Object.keys(sealed).join(", ")}`;
  return `${seq}  ${time}  ${type}  ${actor}  ${JSON.stringify(data)}${under}`;
}

export const logTail: Verb = verb({
  name: "log tail",
  summary: "the last entries of the log",
  options: {
    n: number("N", "this many (default 20)", { fallback: 20, min: 0, max: 100_000 }),
    type: text("TYPE", "only entries of this type, like visit.recognised"),
    follow: flag("follow the log until Ctrl-C", "f"),
  },
  example: "porchlight log tail -n 5 --type visit.recognised",
  operands: NO_OPERANDS,
  async run({ log: open, terminal, values, signal }) {
    const log = open();
    const wanted = values.n;
    const type = values.type;
    const fits = ({ body }: StoredEntry): boolean =>
      type === undefined || (body !== null && parseEntry(body).type === type);
    const show = (stored: StoredEntry): void => {
      const value: unknown = JSON.parse(lineOf(stored));
      terminal.data({ ...Object(value), hash: stored.hash }, wordsOf(stored));
    };
    const { seq } = log.head();
    const from = type === undefined ? Math.max(0, seq - wanted) : 0;
    const last: StoredEntry[] = [];
    for (const stored of entriesAfter(log, from)) {
      if (fits(stored)) last.push(stored);
      if (last.length > wanted) last.shift();
    }
    for (const stored of last) show(stored);
    for (let after = seq; values.follow && !signal.aborted; ) {
      for (const stored of entriesAfter(log, after)) {
        if (fits(stored)) show(stored);
        after = stored.seq;
      }
      await pause(POLL_MS, signal);
    }
    return EXIT.ok;
  },
});

/** Witnesses to verify the log against: the vault, and the caller. */
function witnessesOf(
  { config, environment, store }: Invocation,
  given: string | undefined,
): Witness[] {
  const witnesses: Witness[] = [];
  if (given !== undefined) {
    const [, seq, hash] = /^(\d+):([0-9a-f]{64})$/.exec(given) ?? [];
    if (seq === undefined || hash === undefined) {
      throw usageError("--head is SEQ:HASH, the hash in 64 hex digits");
    }
    witnesses.push({ seq: Number(seq), hash, from: "--head" });
  }
  const vaultKey = keyPath("vault-key", keySources("vault-key", config(), environment));
  if (existsSync(vaultKey)) witnesses.push({ ...store().followed(), from: "the vault" });
  return witnesses;
}

export const logVerify: Verb = verb({
  name: "log verify",
  summary: "read and hash the whole log; name the first entry that is wrong",
  options: { head: text("SEQ:HASH", "a place the log must contain, noted down elsewhere") },
  example: "porchlight log verify",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { terminal, log: open } = invocation;
    const log = open();
    // A broken log may keep the vault from following it: that must not hide what is broken.
    let witnesses: Witness[] = [];
    let vaultProblem: unknown;
    try {
      witnesses = witnessesOf(invocation, invocation.values.head);
    } catch (error) {
      vaultProblem = error;
    }
    const started = performance.now();
    const report = log.verify(witnesses);
    const seconds = (performance.now() - started) / 1000;
    if (report.fault === null && vaultProblem !== undefined) throw vaultProblem;
    const { entries, emptied, fault, head } = report;
    const rate = Math.round(entries / Math.max(seconds, 0.001)).toLocaleString("en");
    const shed = emptied === 0 ? "" : `, ${emptied} of them shed`;
    const words =
      fault === null
        ? `the log is whole: ${entries} entries${shed}, ${rate} entries/s\nhead ${head.seq}:${head.hash}`
        : `entry ${fault.seq} is wrong (${fault.kind}): ${fault.detail}`;
    terminal.data({ ...report, log: log.head().log, seconds }, words);
    return fault === null ? EXIT.ok : EXIT.failed;
  },
});

/** Every life of the log, one after the other. */
function* entriesOfAll({ reader }: OpenLog): Generator<StoredEntry> {
  for (let place = reader.start(); ; ) {
    const { entries } = reader.after(place, READ_ENTRIES);
    yield* entries;
    const last = entries.at(-1);
    if (last === undefined) return;
    place = { log: last.log, seq: last.seq, hash: last.hash };
  }
}

export const logExport: Verb = verb({
  name: "log export",
  summary: "print every entry on a line of its own, byte for byte as it was hashed",
  options: {
    after: number("SEQ", "only entries after this one", {
      fallback: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    }),
    all: flag("of every life of the log, oldest first, as the centre has them"),
  },
  example: "porchlight log export > door.log",
  operands: NO_OPERANDS,
  async run({ openedLog, values }) {
    const opened = openedLog();
    const { after, all } = values;
    for (const stored of all ? entriesOfAll(opened) : entriesAfter(opened.log, after)) {
      if (!process.stdout.write(`${lineOf(stored)}\n`)) {
        await new Promise((drained) => process.stdout.once("drain", drained));
      }
    }
    return EXIT.ok;
  },
});
