/** `log verify`: every life of the log, from its first entry to its last. */
import { z } from "zod";
import type { ChainReport } from "../../shared/log/chain.ts";
import { type ChainFault, type Link, verifyChain, type Witness } from "../../shared/log/chain.ts";
import { type Cursor, cursorSchema } from "../../shared/log/cursor.ts";
import type { Database } from "../sqlite/database.ts";

/** The first thing wrong with a life of the log. */
export interface LogFault extends ChainFault {
  readonly log: string;
}

export interface LifeReport extends ChainReport {
  readonly log: string;
}

export interface LogReport {
  /** Entries of all lives, as far as each is sound. */
  readonly entries: number;
  readonly emptied: number;
  /** The last sound entry of the current life. */
  readonly head: Cursor;
  /** Oldest first. */
  readonly lives: readonly LifeReport[];
  /** The first of them, oldest life first. */
  readonly fault: LogFault | null;
}

const lifeRow = z.object({ log: z.string(), first: z.int(), next: z.int() });
type Life = z.infer<typeof lifeRow>;

/** What the first entry of a life says; the rest of it is of no matter here. */
const openedSchema = z.object({
  type: z.literal("store.opened"),
  data: z.object({ format: z.literal(1), parent: cursorSchema.nullable() }),
});

/**
 * Reads log.db as it lies there and assumes nothing of it. Each life is verified by itself, its
 * first entry opens a store, and what it names as its parent stands in the life before.
 */
export function verifyLog(database: Database, witnesses: readonly Witness[]): LogReport {
  const lives: LifeReport[] = [];
  for (const life of livesOf(database)) {
    const report = verifyChain(life.log, linksOf(database, life), witnesses);
    const fault = firstOf(report.fault, openingFault(database, life, lives.at(-1)));
    lives.push({ log: life.log, ...report, fault });
  }
  const current = lives.at(-1);
  const faults = lives.flatMap(({ log, fault }) => (fault === null ? [] : [{ log, ...fault }]));
  return {
    entries: lives.reduce((sum, { entries }) => sum + entries, 0),
    emptied: lives.reduce((sum, { emptied }) => sum + emptied, 0),
    head: { log: current?.log ?? "", seq: 0, hash: "", ...current?.head },
    lives,
    fault: faults[0] ?? strayFault(database) ?? unknownLog(lives, witnesses),
  };
}

function firstOf(one: ChainFault | null, other: ChainFault | null): ChainFault | null {
  if (one === null || other === null) return one ?? other;
  return one.seq <= other.seq ? one : other;
}

function livesOf(database: Database): readonly Life[] {
  const rows = database
    .prepare(
      `SELECT uuid AS log, first_position AS first, coalesce(
         lead(first_position) OVER (ORDER BY id),
         (SELECT max(first_position, coalesce(max(position), 0) + 1) FROM entries)
       ) AS next FROM logs ORDER BY id`,
    )
    .all();
  return z.array(lifeRow).parse(rows);
}

function* linksOf(database: Database, { first, next }: Life): Generator<Link> {
  const rows = database
    .prepare<[number, number], [number, Buffer, string | null]>(
      `SELECT position, hash, body FROM entries WHERE position >= ? AND position < ?
       ORDER BY position`,
    )
    .raw()
    .iterate(first, next);
  for (const [position, hash, body] of rows) {
    yield { seq: position - first + 1, hash: hash.toString("hex"), body };
  }
}

/** What is wrong with how a life begins; an emptied entry cannot be asked. */
function openingFault(
  database: Database,
  { first }: Life,
  before: LifeReport | undefined,
): ChainFault | null {
  const body = z
    .string()
    .nullish()
    .parse(database.prepare("SELECT body FROM entries WHERE position = ?").pluck().get(first));
  if (body == null) return null;
  const opened = openedSchema.safeParse(jsonOf(body));
  const fault = (detail: string): ChainFault => ({ seq: 1, kind: "invalid", detail });
  if (!opened.success) return fault("it does not open a store of format 1");
  const { parent } = opened.data.data;
  if (before === undefined) {
    return parent === null ? null : fault(`it follows the log ${parent.log}, which is not here`);
  }
  if (parent === null) return fault(`it does not name the log ${before.log} as its parent`);
  const found = hashAt(database, parent);
  if (parent.log === before.log && found === parent.hash) return null;
  return fault(`entry ${parent.seq} of the log ${parent.log}, its parent, is not as it names it`);
}

function hashAt(database: Database, { log, seq }: Cursor): string | null {
  const hash = database
    .prepare(
      `SELECT hash FROM entries WHERE position =
         (SELECT first_position + ? - 1 FROM logs WHERE uuid = ?)`,
    )
    .pluck()
    .get(seq, log);
  return z.instanceof(Buffer).optional().parse(hash)?.toString("hex") ?? null;
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** An entry that stands before the first life, and so in none. */
function strayFault(database: Database): LogFault | null {
  const [first] = livesOf(database);
  if (first === undefined) return null;
  const position = z
    .int()
    .nullable()
    .parse(database.prepare("SELECT min(position) FROM entries").pluck().get());
  if (position === null || position >= first.first) return null;
  const seq = position - first.first + 1;
  const detail = "it stands before the first entry of the first log";
  return { log: first.log, seq, kind: "invalid", detail };
}

/** A witness of a log that is not here any more. */
function unknownLog(lives: readonly LifeReport[], witnesses: readonly Witness[]): LogFault | null {
  const witness = witnesses.find(({ log }) => !lives.some((life) => life.log === log));
  if (witness === undefined) return null;
  const { log, seq, from } = witness;
  return { log, seq, kind: "missing", detail: `${from} knows this log, and it is not here` };
}
