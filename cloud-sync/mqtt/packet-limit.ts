/**
 * A connection on which no MQTT packet is longer than allowed. The broker's parser collects a packet
 * of any length in memory before anybody is asked, up to 256 MB for each connection.
 *
 *     type and flags, 1 byte | remaining length, 1–4 bytes of 7 bits, least first | so many bytes
 */
import { Duplex } from "node:stream";

const CONTINUES = 0x80;
const LENGTH_BYTES_MAX = 4;

/** Follows the packets in a stream of bytes. */
export class FrameScanner {
  readonly #bytesMax: number;
  /** Bytes of the current packet that are still to come. */
  #left = 0;
  /** Bytes of the fixed header that were read; 0 between packets. */
  #header = 0;
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False when a packet is too long, or its length is none. */
  accepts(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      if (!this.#acceptsHeader(chunk[at] ?? 0)) return false;
      at++;
    }
    return true;
  }

  #acceptsHeader(byte: number): boolean {
    const place = this.#header++ - 1;
    if (place < 0) {
      this.#length = 0;
      return true;
    }
    this.#length += (byte & ~CONTINUES) * 128 ** place;
    if (this.#length > this.#bytesMax) return false;
    if ((byte & CONTINUES) !== 0) return place + 1 < LENGTH_BYTES_MAX;
    this.#left = this.#length;
    this.#header = 0;
    return true;
  }
}

/** The same connection, which ends at a packet that is too long, and of which reading can be held. */
export class LimitedConnection extends Duplex {
  readonly #socket: Duplex;
  #holds = 0;

  constructor(socket: Duplex, bytesMax: number) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    const scanner = new FrameScanner(bytesMax);
    socket.on("data", (chunk: Buffer) => {
      if (!scanner.accepts(chunk)) this.destroy(new Error("an MQTT packet is too long"));
      else if (!this.push(chunk) || this.#holds > 0) socket.pause();
    });
    socket.once("end", () => this.push(null));
    socket.once("error", (error) => this.destroy(error));
    socket.once("close", () => this.destroy());
  }

  /** Reads no further until the work is done: aedes goes on reading while its handlers wait. */
  async holdDuring<T>(work: Promise<T>): Promise<T> {
    this.#holds++;
    this.#socket.pause();
    try {
      return await work;
    } finally {
      if (--this.#holds === 0) this.#socket.resume();
    }
  }

  override _read(): void {
    if (this.#holds === 0) this.#socket.resume();
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
