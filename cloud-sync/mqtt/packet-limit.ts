/** A connection on which no MQTT packet is longer than allowed: shared/protocol/packet-scanner.ts. */
import { Duplex } from "node:stream";
import { PacketScanner } from "../../shared/protocol/packet-scanner.ts";

/** The same connection, which ends at a packet that is too long, and of which reading can be held. */
export class LimitedConnection extends Duplex {
  readonly #socket: Duplex;
  #holds = 0;

  constructor(socket: Duplex, bytesMax: number) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    const scanner = new PacketScanner(bytesMax);
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
