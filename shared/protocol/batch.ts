/**
 * A batch: consecutive entries of one log on their way to the centre.
 *
 *     {"log":"<UUID>","seq":<first>,"previous":"<hash of the entry before>","head":"<of the last>",
 *      "nonce":"<of this session>"}\n          in one line; the nonce where the answer is to be signed
 *     <canonical bytes of an entry>\n          or, of an emptied one, {"hash":"<hash>","seq":<seq>}\n
 *     …
 *
 * Plain or as gzip (RFC 1952), told by its magic bytes 1f 8b. The receiver hashes the bytes as they
 * stand and must arrive at `head`: then those behind the last emptied one are what the device has
 * hashed. The hash of an emptied entry is believed, as it is in an export.
 */
import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { z } from "zod";
import { invariant, messageOf } from "../core/errors.ts";
import { type Link, lineOf } from "../log/chain.ts";
import { type Cursor, hashSchema } from "../log/cursor.ts";
import { type EntryColumns, readEntry } from "../log/entry-bytes.ts";
import { invalid, nonceSchema } from "./wire.ts";

export interface BatchEntry {
  readonly seq: number;
  /** 32 raw bytes. */
  readonly hash: Buffer;
  /** Canonical bytes as they were hashed, a view into the batch; null when emptied. */
  readonly body: Buffer | null;
  /** Null when emptied or not an entry. */
  readonly columns: EntryColumns | null;
  /** Why bytes that the device has hashed are not an entry of this place; else null. */
  readonly fault: string | null;
}

export interface Batch {
  readonly log: string;
  /** The hash of the entry before the first one: 32 raw bytes. */
  readonly previous: Buffer;
  /** What a signed answer to it repeats (answer-proof.ts); null where none is asked for. */
  readonly nonce: string | null;
  /** At least one, `seq` by `seq`. */
  readonly entries: readonly BatchEntry[];
}

export const BATCH_ENTRIES_MAX = 1_000;
/** As it is sent: brokers refuse larger messages by default (EMQX: 1 MiB). */
export const PAYLOAD_BYTES_MAX = 1024 * 1024;
/** Unpacked, on the receiving side: more is a gzip bomb. 1,000 entries have 400 kB. */
export const PLAIN_BYTES_MAX = 4 * 1024 * 1024;
/** A sender stops here: below PAYLOAD_BYTES_MAX unpacked, and the largest entry has room. */
export const SEND_BYTES_MAX = 768 * 1024;
/** Smaller ones gain nothing worth the time. */
const GZIP_BYTES_MIN = 512;
/** Telemetry shrinks to 12 % at level 1 in 0.9 µs an entry, to 11 % at level 6 in 2.8 µs. */
const GZIP_LEVEL = 1;

const HASH_BYTES = 32;
const NEWLINE = 0x0a;
const HEADER_BYTES_MAX = 512;
const EMPTIED = Buffer.from('{"hash":"');
const EMPTIED_LINE = /^\{"hash":"([0-9a-f]{64})","seq":([1-9][0-9]{0,15})\}$/;

const headerSchema = z.strictObject({
  log: z.uuid().lowercase(),
  seq: z.int().min(1),
  previous: hashSchema,
  head: hashSchema,
  nonce: nonceSchema.optional(),
});

export interface EncodeOptions {
  /** Bytes that the batch may hold. */
  readonly bytesMax?: number;
  /** Asks for a signed answer. */
  readonly nonce?: string | null;
}

/**
 * As many of the entries after `previous` as one batch of so many bytes holds, one at least; `last`
 * is the place of the last one in it. Not compressed yet: see `compressBatch`.
 */
export function encodeBatch(
  previous: Cursor,
  links: readonly Link[],
  { bytesMax = SEND_BYTES_MAX, nonce = null }: EncodeOptions = {},
): { readonly payload: Buffer; readonly last: Cursor } {
  const lines: string[] = [];
  let last = previous;
  let bytes = 0;
  for (const link of links.slice(0, BATCH_ENTRIES_MAX)) {
    invariant(link.seq === last.seq + 1, "a batch has no gap");
    const line = lineOf(link);
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > bytesMax && lines.length > 0) break;
    lines.push(line);
    last = { log: previous.log, seq: link.seq, hash: link.hash };
  }
  invariant(lines.length > 0, "a batch holds an entry");
  const first = { log: previous.log, seq: previous.seq + 1, previous: previous.hash };
  const asked = nonce === null ? {} : { nonce };
  const header = JSON.stringify({ ...first, head: last.hash, ...asked });
  return { payload: Buffer.from(`${header}\n${lines.join("\n")}\n`), last };
}

/** The same batch as gzip, where that is shorter. */
export function compressBatch(payload: Buffer): Buffer {
  if (payload.length < GZIP_BYTES_MIN) return payload;
  const packed = gzipSync(payload, { level: GZIP_LEVEL });
  return packed.length < payload.length ? packed : payload;
}

/**
 * Unpacks a batch and follows its chain. Throws `wire.invalid` (remedy `reject`) when it is not one
 * or its bytes are not those that were hashed. A single entry that is invalid has a `fault`.
 */
export function decodeBatch(payload: Buffer): Batch {
  const plain = unpack(payload);
  const headerEnd = plain.subarray(0, HEADER_BYTES_MAX).indexOf(NEWLINE);
  if (headerEnd === -1) throw invalid("its first line is no header");
  const { log, seq, previous, head, nonce = null } = headerOf(plain.subarray(0, headerEnd));
  if (plain.at(-1) !== NEWLINE) throw invalid("its last line has no end");
  const start = Buffer.from(previous, "hex");
  const entries = follow(plain, headerEnd + 1, { log, seq, previous: start });
  const last = entries.at(-1);
  if (last === undefined) throw invalid("it holds no entry");
  if (last.hash.toString("hex") !== head) {
    throw invalid(`its bytes lead to another hash than its head at entry ${last.seq}`);
  }
  return { log, previous: start, nonce, entries };
}

/** The log in a message's header, even if the rest of it is no batch; null when unreadable. */
export function claimedLog(payload: Buffer): string | null {
  try {
    const plain = unpack(payload).subarray(0, HEADER_BYTES_MAX);
    return headerOf(plain.subarray(0, plain.indexOf(NEWLINE))).log;
  } catch {
    return null; // the one who asks has no better answer than this
  }
}

function unpack(payload: Buffer): Buffer {
  if (payload.length > PAYLOAD_BYTES_MAX) throw invalid(`${payload.length} bytes are too many`);
  if (payload[0] !== 0x1f || payload[1] !== 0x8b) return payload;
  try {
    return gunzipSync(payload, { maxOutputLength: PLAIN_BYTES_MAX });
  } catch (cause) {
    throw invalid(messageOf(cause), cause);
  }
}

function headerOf(line: Buffer): z.infer<typeof headerSchema> {
  try {
    return headerSchema.parse(JSON.parse(line.toString("utf8")));
  } catch (cause) {
    throw invalid("its first line is no header", cause);
  }
}

/** Where a batch begins. */
interface Start {
  readonly log: string;
  readonly seq: number;
  readonly previous: Buffer;
}

function follow(plain: Buffer, from: number, start: Start): BatchEntry[] {
  const log = Buffer.from(start.log, "latin1");
  const wholeText = isUtf8(plain);
  const entries: BatchEntry[] = [];
  const hashes = Buffer.allocUnsafe(HASH_BYTES * BATCH_ENTRIES_MAX);
  // Previous hash and body side by side, to be hashed in one go; as long as the longest line.
  const chain = Buffer.allocUnsafe(HASH_BYTES + plain.length);
  chain.set(start.previous);
  for (let at = from, seq = start.seq; at < plain.length; seq++) {
    if (entries.length === BATCH_ENTRIES_MAX) throw invalid("it holds too many entries");
    const end = plain.indexOf(NEWLINE, at);
    const line = plain.subarray(at, end);
    const emptied = line.length > EMPTIED.length && line.compare(EMPTIED, 0, 9, 0, 9) === 0;
    const digest = emptied ? emptiedHash(line, seq) : chained(chain, line);
    chain.write(digest, "latin1");
    const place = HASH_BYTES * entries.length;
    const own = hashes.subarray(place, place + HASH_BYTES);
    own.write(digest, "latin1");
    const read = emptied
      ? EMPTIED_ENTRY
      : wholeText || isUtf8(line)
        ? readEntry(plain, [at, end], log, seq)
        : NO_TEXT;
    const body = emptied ? null : line;
    entries.push({ seq, hash: own, body, columns: read.columns, fault: read.fault });
    at = end + 1;
  }
  return entries;
}

const EMPTIED_ENTRY = { columns: null, fault: null } as const;
const NO_TEXT = { columns: null, fault: "it is not UTF-8" } as const;

/**
 * SHA-256(previous hash ‖ line), the previous hash being in its place already. As text of 32
 * one-byte characters: a Buffer for each hash costs more than SHA does.
 */
function chained(chain: Buffer, line: Buffer): string {
  chain.set(line, HASH_BYTES);
  return hash("sha256", chain.subarray(0, HASH_BYTES + line.length), "binary");
}

function emptiedHash(line: Buffer, seq: number): string {
  const [, digits = "", own] = EMPTIED_LINE.exec(line.toString("latin1")) ?? [];
  if (Number(own) !== seq) throw invalid(`entry ${seq} is neither an entry nor an emptied one`);
  return Buffer.from(digits, "hex").toString("latin1");
}
