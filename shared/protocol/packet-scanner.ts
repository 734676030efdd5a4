/**
 * Finds an MQTT packet that is longer than allowed at its header. Parsers collect a packet of any length
 * in memory before anybody is asked, up to 256 MB for each connection.
 *
 *     type and flags, 1 byte | remaining length, 1–4 bytes of 7 bits, least first | so many bytes
 */
const CONTINUES = 0x80;
const LENGTH_BYTES_MAX = 4;

/** Follows the packets in a stream of bytes. */
export class PacketScanner {
  readonly #bytesMax: number;
  /** Of this packet: the first one has a limit of its own. */
  #packetMax: number;
  /** Bytes of the current packet that are still to come. */
  #left = 0;
  /** Bytes of the fixed header that were read; 0 between packets. */
  #header = 0;
  #length = 0;
  #packets = 0;

  constructor(bytesMax: number, firstMax = bytesMax) {
    this.#bytesMax = bytesMax;
    this.#packetMax = firstMax;
  }

  /** Packets that have begun. */
  get packets(): number {
    return this.#packets;
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
      this.#packets++;
      this.#length = 0;
      return true;
    }
    this.#length += (byte & ~CONTINUES) * 128 ** place;
    if (this.#length > this.#packetMax) return false;
    if ((byte & CONTINUES) !== 0) return place + 1 < LENGTH_BYTES_MAX;
    this.#left = this.#length;
    this.#packetMax = this.#bytesMax;
    this.#header = 0;
    return true;
  }
}
