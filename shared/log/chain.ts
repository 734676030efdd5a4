import { hash } from "node:crypto";
import canonicalize from "canonicalize";
import { invariant } from "../core/errors.ts";
import { GENESIS_HASH } from "./cursor.ts";
import type { Entry } from "./entry.ts";
import { readEntry } from "./entry-bytes.ts";
import { explainedBy, firstUnexplained, type Shed } from "./shed.ts";

/**
 * The canonical bytes of a value (RFC 8785, JCS), as text. Made once, at append: from then on
 * everybody stores, sends and hashes these bytes, and nobody serialises an entry again.
 */
export function canonicalJson(value: unknown): string {
  // JCS is what JSON.stringify writes, with sorted keys: it says so itself (3.2.2).
  const text = inOrder(value) ? JSON.stringify(value) : canonicalize(value);
  invariant(text !== undefined, "a canonical value is a JSON value");
  invariant(
    !(text.includes("\\u") && LONE_SURROGATE.test(text)),
    "canonical JSON holds no lone surrogates (RFC 8785, 3.2.2.2)",
  );
  return text;
}

/** Whether this is a plain JSON value whose keys already stand in the order of JCS. */
function inOrder(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return typeof value === "string" || typeof value === "boolean";
  if (value === null) return true;
  if (Array.isArray(value)) return value.every(inOrder);
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  let last = "";
  for (const [key, child] of Object.entries(value)) {
    // Strings compare by UTF-16 code units, as 3.2.3 asks. An empty key is left to the library.
    if (key <= last || key === "toJSON" || !inOrder(child)) return false;
    last = key;
  }
  return true;
}

/**
 * canonicalJson of a whole entry, several times as fast: the envelope's keys are known and in
 * order, and what its schema lets into the other fields needs no escape.
 */
export function canonicalEntry(entry: Entry): string {
  const { actor, at, clock, data, log, monotonicMs, sealed, seq, subject, type } = entry;
  return (
    `{"actor":${canonicalJson(actor)},"at":${at},"clock":"${clock}","data":${canonicalJson(data)},` +
    `"log":"${log}","monotonicMs":${monotonicMs},` +
    `"sealed":${sealed === null ? "null" : canonicalJson(sealed)},"seq":${seq},` +
    `"subject":${subject === null ? "null" : `"${subject}"`},"type":"${type}"}`
  );
}

/** JSON.stringify escapes a surrogate only when it stands alone. */
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/;

/** The end of every canonical entry: its own seq, which no text inside `data` can imitate. */
const TAIL = /"seq":(\d+),"subject":(?:null|"[0-9a-f-]{36}"),"type":"[a-z.]+"\}$/;

/** The seq in an entry's bytes, or null when the text is not a canonical entry. */
export function seqOf(body: string): number | null {
  const seq = TAIL.exec(body)?.[1];
  return seq === undefined ? null : Number(seq);
}

/** Cheap check that a line is canonical: our keys are ASCII, so sorting them is JCS order. */
export function isCanonical(line: string): boolean {
  try {
    return canonicalJson(JSON.parse(line)) === line;
  } catch {
    return false;
  }
}

/** SHA-256(previous hash as 32 raw bytes ‖ canonical bytes in UTF-8), lowercase hex. */
export function chainHash(previous: string, canonical: string): string {
  const bytes = Buffer.allocUnsafe(HASH_BYTES + Buffer.byteLength(canonical));
  bytes.write(previous, "hex");
  bytes.write(canonical, HASH_BYTES, "utf8");
  // In one go: createHash makes a stream of every entry, and the garbage of it costs more than SHA.
  return hash("sha256", bytes, "hex");
}

const HASH_BYTES = 32;

/** What is stored of one entry. `body` is null once its content was shed; the hash stays. */
export interface Link {
  readonly seq: number;
  readonly hash: string;
  readonly body: string | null;
}

/** The line of an export: an entry as it was hashed, an emptied one as its place in the chain. */
export function lineOf({ body, hash, seq }: Link): string {
  return body ?? `{"hash":"${hash}","seq":${seq}}`;
}

/** "invalid": it is what was hashed, and no entry of this log by docs/log-format.md. */
export type FaultKind = "changed" | "missing" | "reordered" | "forged-head" | "emptied" | "invalid";

/** The first thing wrong with a log. */
export interface ChainFault {
  readonly seq: number;
  readonly kind: FaultKind;
  readonly detail: string;
}

export interface ChainReport {
  readonly entries: number;
  readonly emptied: number;
  readonly head: { readonly seq: number; readonly hash: string };
  readonly fault: ChainFault | null;
}

/** A place a log must contain, known from elsewhere: the vault, a note, central's ack. */
export interface Witness {
  readonly log: string;
  readonly seq: number;
  readonly hash: string;
  readonly from: string;
}

function parse(body: string): Partial<Entry> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Asks for the next link; undefined is the end. */
type Reading<R> = Generator<void, R, Link | undefined>;

/** Why the entry at `seq` is not the one that was hashed there. Looks ahead: a fault is rare. */
function* diagnose(
  link: Link,
  { log, seq, previous }: { readonly log: string; readonly seq: number; readonly previous: string },
): Reading<ChainFault> {
  const own = link.body === null ? link.seq : seqOf(link.body);
  if (link.seq === seq && (own === seq || own === null)) {
    const fault = link.body === null ? null : faultIn(link.body, log, seq);
    const computed = chainHash(previous, link.body ?? "");
    const detail = `its bytes hash to ${computed.slice(0, 12)}…, ${link.hash.slice(0, 12)}… is stored`;
    const note = fault === null ? "" : `; as an entry: ${fault}`;
    return { seq, kind: "changed", detail: detail + note };
  }
  for (let next = yield; next !== undefined; next = yield) {
    if ((next.body === null ? next.seq : seqOf(next.body)) === seq) {
      return { seq, kind: "reordered", detail: `entry ${own ?? link.seq} stands in its place` };
    }
  }
  return { seq, kind: "missing", detail: `entry ${own ?? link.seq} follows entry ${seq - 1}` };
}

/** Why these bytes are no entry of this place, as the centre reads them; null where they are. */
function faultIn(body: string, log: string, seq: number): string | null {
  const bytes = Buffer.from(body);
  return readEntry(bytes, [0, bytes.length], Buffer.from(log), seq).fault;
}

/** What an entry explains, if it is a `buffer.shed`. */
function shedsIn(seq: number, body: string): readonly Shed[] {
  if (!body.endsWith('"type":"buffer.shed"}')) return [];
  return explainedBy(seq, parse(body).data);
}

/** An emptied entry that no later `buffer.shed` covers was tampered with. */
function unexplained(emptied: readonly number[], sheds: readonly Shed[]): ChainFault | null {
  const seq = firstUnexplained(emptied, sheds);
  if (seq === null) return null;
  return {
    seq,
    kind: "emptied",
    detail: "its content is emptied and no later buffer.shed entry covers it",
  };
}

/** A fault where the log contradicts a witness at this place, if any. */
function denied(witnesses: readonly Witness[], seq: number, hash: string): ChainFault | null {
  const witness = witnesses.find((each) => each.seq === seq && each.hash !== hash);
  if (witness === undefined) return null;
  return { seq, kind: "forged-head", detail: `${witness.from} has another hash for this entry` };
}

/** A fault where a witness has entries beyond the end of the log, if any. */
function cutOff(witnesses: readonly Witness[], head: ChainReport["head"]): ChainFault | null {
  const witness = witnesses.find(({ seq }) => seq > head.seq);
  if (witness === undefined) return null;
  const detail = `${witness.from} has ${witness.seq} entries, the log ends at ${head.seq}`;
  return { seq: head.seq + 1, kind: "missing", detail };
}

/**
 * Reads a whole log from its first entry and names the first entry that is wrong, if any: its hash,
 * its place, or its bytes, which are read as strictly as the centre reads them. Trusts nothing it
 * did not compute or was not given as a witness of this log.
 */
export function verifyChain(
  log: string,
  links: Iterable<Link>,
  witnesses: readonly Witness[],
): ChainReport {
  const reading = follow(log, witnesses);
  let step = reading.next();
  // Stopped at a fault, `for` also ends the query behind the links, which would keep it busy.
  for (const link of links) {
    if (step.done === true) break;
    step = reading.next(link);
  }
  return reportOf(reading, step);
}

const NONE: ReadonlySet<number> = new Set();

/**
 * verifyChain over links that arrive page by page. What is in `excused` (it may grow as the pages
 * come) has no body for a reason that the reader knows.
 */
export async function verifyPages(
  log: string,
  pages: AsyncIterable<Iterable<Link>>,
  witnesses: readonly Witness[],
  excused: ReadonlySet<number> = NONE,
): Promise<ChainReport> {
  const reading = follow(log, witnesses, excused);
  let step = reading.next();
  for await (const page of pages) {
    for (const link of page) {
      if (step.done === true) return step.value;
      step = reading.next(link);
    }
  }
  return reportOf(reading, step);
}

function reportOf(
  reading: Reading<ChainReport>,
  step: IteratorResult<void, ChainReport>,
): ChainReport {
  const last = step.done === true ? step : reading.next(undefined);
  invariant(last.done === true, "a log is read to its end");
  return last.value;
}

function* follow(
  log: string,
  known: readonly Witness[],
  excused: ReadonlySet<number> = NONE,
): Reading<ChainReport> {
  const witnesses = known.filter((witness) => witness.log === log);
  const witnessed = new Set(witnesses.map(({ seq }) => seq));
  const emptied: number[] = [];
  const sheds: Shed[] = [];
  let head = { seq: 0, hash: GENESIS_HASH };
  const report = (fault: ChainFault | null): ChainReport => ({
    entries: head.seq,
    emptied: emptied.length,
    head,
    fault,
  });
  for (let link = yield; link !== undefined; link = yield) {
    const seq = head.seq + 1;
    const own = link.body === null ? seq : (seqOf(link.body) ?? seq);
    const hashed = link.body === null || link.hash === chainHash(head.hash, link.body);
    if (link.seq !== seq || own !== seq || !hashed) {
      return report(yield* diagnose(link, { log, seq, previous: head.hash }));
    }
    const fault = link.body === null ? null : faultIn(link.body, log, seq);
    if (fault !== null) return report({ seq, kind: "invalid", detail: `as an entry: ${fault}` });
    const denial = witnessed.has(seq) ? denied(witnesses, seq, link.hash) : null;
    if (denial !== null) return report(denial);
    head = { seq, hash: link.hash };
    if (link.body === null) emptied.push(seq);
    else sheds.push(...shedsIn(seq, link.body));
  }
  const open = emptied.filter((seq) => !excused.has(seq));
  return report(cutOff(witnesses, head) ?? unexplained(open, sheds));
}
