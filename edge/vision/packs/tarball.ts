import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { PorchlightError, systemCodeOf } from "../../../shared/core/errors.ts";

/**
 * Reads one file out of a gzipped tar archive without unpacking anything to disk, so that no name
 * in it (upwards, absolute, a link, a name twice) can mean a place of this machine.
 *
 *   header  512 bytes: name 0..99, size 124..135, checksum 148..155, type 156, prefix 345..499
 *   content padded to 512 bytes; a pax header ("x") before an entry has its long name and size
 *
 * Format: POSIX.1-2017, pax, "ustar Interchange Format"; what npm publishes.
 */
const BLOCK = 512;
/** What archives may unpack to, up to the file looked for: npm itself publishes none so large. */
const UNPACKED_BYTES_MAX = 512 * 1024 * 1024;
/** A long name, and what else a pax header says. */
const PAX_BYTES_MAX = 64 * 1024;
const ENTRIES_MAX = 100_000;

export interface Sought {
  /** The entry's whole name; npm puts all below "package/". */
  readonly path: string;
  readonly bytes: number;
  readonly unpackedBytesMax?: number;
}

/** The code of the error for an archive that is damaged, too large, or lacks the file. */
export const UNUSABLE = "model.archive.unusable";

/** The content of the first regular file of this name. */
export async function readTarball(archive: string, sought: Sought): Promise<Buffer> {
  const { unpackedBytesMax = UNPACKED_BYTES_MAX } = sought;
  const source = createReadStream(archive);
  const unpacked = createGunzip();
  // By hand, not by pipeline(): that reports a reader who has seen enough as a failure.
  source.on("error", (error) => unpacked.destroy(error)).pipe(unpacked);
  try {
    return await entryIn(new BoundedReader(unpacked, unpackedBytesMax), sought);
  } catch (error) {
    if (systemCodeOf(error)?.startsWith("Z_")) throw unusable("is no gzip archive", error);
    throw error;
  } finally {
    unpacked.destroy();
    source.destroy();
  }
}

async function entryIn(reader: BoundedReader, { path, bytes }: Sought): Promise<Buffer> {
  let pax: PaxRecords = {};
  for (let entries = 0; entries < ENTRIES_MAX; entries++) {
    const header = headerOf(await reader.take(BLOCK));
    if (header === null) break;
    const size = pax.size ?? header.size;
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (header.type === "x" || header.type === "g") {
      if (size > PAX_BYTES_MAX) throw unusable("has a header that is too long");
      const records = paxRecords(await reader.take(size));
      await reader.skip(padding);
      // What holds for all entries ("g") would be no name and no size of one.
      if (header.type === "x") pax = records;
      continue;
    }
    if ((pax.path ?? header.name) === path) {
      if (header.type !== "0") throw unusable(`has ${path}, but not as a file`);
      if (size !== bytes) throw unusable(`has ${path} with ${size} bytes, not ${bytes}`);
      return await reader.take(size);
    }
    await reader.skip(size + padding);
    pax = {};
  }
  throw unusable(`has no file ${path}`);
}

interface Header {
  readonly name: string;
  readonly size: number;
  /** "0" is a regular file. */
  readonly type: string;
}

/** Null for the zeros that end an archive. */
function headerOf(block: Buffer): Header | null {
  if (block.every((byte) => byte === 0)) return null;
  let sum = 0;
  // The checksum counts its own field as blanks.
  for (const [i, byte] of block.entries()) sum += i >= 148 && i < 156 ? 0x20 : byte;
  if (sum !== octal(block, 148, 156)) throw unusable("is no tar archive, or damaged");
  const [name, prefix] = [text(block, 0, 100), text(block, 345, 500)];
  const type = String.fromCharCode(block[156] || 0x30);
  return { name: prefix === "" ? name : `${prefix}/${name}`, size: octal(block, 124, 136), type };
}

function text(block: Buffer, from: number, to: number): string {
  const end = block.indexOf(0, from);
  return block.toString("utf8", from, end < 0 || end > to ? to : end);
}

/** Octal digits; the binary form, for files above 8 GiB, is above every limit here. */
function octal(block: Buffer, from: number, to: number): number {
  const digits = text(block, from, to).trim();
  if (!/^[0-7]+$/.test(digits)) throw unusable("is no tar archive, or damaged");
  return Number.parseInt(digits, 8);
}

interface PaxRecords {
  readonly path?: string;
  readonly size?: number;
}

/** Records are `LENGTH KEY=VALUE\n`, the length in bytes and of the whole record. */
function paxRecords(content: Buffer): PaxRecords {
  const records: { path?: string; size?: number } = {};
  for (let at = 0; at < content.length; ) {
    const blank = content.indexOf(0x20, at);
    const length = Number(content.toString("latin1", at, blank));
    const end = at + length;
    if (blank < 0 || !Number.isSafeInteger(length) || length < 5 || end > content.length) {
      throw unusable("has a header that cannot be read");
    }
    const [key, value] = content.toString("utf8", blank + 1, end - 1).split(/=(.*)/s);
    if (key === "path") records.path = value ?? "";
    if (key === "size") {
      if (!/^\d{1,15}$/.test(value ?? "")) {
        throw unusable("has a header that cannot be read");
      }
      records.size = Number(value);
    }
    at = end;
  }
  return records;
}

function unusable(what: string, cause?: unknown): PorchlightError {
  return new PorchlightError(UNUSABLE, what, { remedy: "reject", cause });
}

/** Bytes of a stream in the pieces asked for, and never more of them than a limit. */
class BoundedReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #bytesMax: number;
  #read = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable, bytesMax: number) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#bytesMax = bytesMax;
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    await this.#pass(bytes, (part) => parts.push(part));
    return Buffer.concat(parts);
  }

  async skip(bytes: number): Promise<void> {
    await this.#pass(bytes, () => undefined);
  }

  async #pass(bytes: number, use: (part: Buffer) => void): Promise<void> {
    this.#read += bytes;
    if (this.#read > this.#bytesMax) {
      throw unusable(`unpacks to more than ${this.#bytesMax} bytes`);
    }
    for (let wanted = bytes; wanted > 0; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#chunks.next();
        if (done) throw unusable("ends too early");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, wanted);
      this.#rest = this.#rest.subarray(part.length);
      wanted -= part.length;
      use(part);
    }
  }
}
