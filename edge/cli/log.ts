import { z } from "zod";
import { flag, number, text } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { pause } from "../../shared/core/retry.ts";
import { lineOf } from "../../shared/log/chain.ts";
import { type Entry, parseEntry } from "../../shared/log/entry.ts";
import type { EventLog, StoredEntry } from "../log/event-log.ts";
import type { OpenLog } from "../log/open-log.ts";
import { type Verb, verb } from "./verb.ts";

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

/** Null where the bytes are no entry that this version can read. */
function readable(body: string): Entry | null {
  try {
    return parseEntry(body);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

/** An entry, or its place where it has no content or none that can be read. */
function factsOf(stored: StoredEntry): object {
  const { seq, hash, body } = stored;
  if (body !== null && readable(body) === null) return { seq, hash, unreadable: true };
  return { ...Object(JSON.parse(lineOf(stored))), hash };
}

function wordsOf(stored: StoredEntry): string {
  if (stored.body === null) return `${stored.seq}  (shed)`;
  const entry = readable(stored.body);
  if (entry === null) return `${stored.seq}  (no entry: porchlight log verify)`;
  const { seq, at, clock, type, actor, data, sealed } = entry;
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
      type === undefined || (body !== null && readable(body)?.type === type);
    const show = (stored: StoredEntry): void => {
      terminal.data(factsOf(stored), wordsOf(stored));
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
