/** A connection on which no MQTT packet is longer than allowed: shared/protocol/packet-scanner.ts. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { createBucket } from "../../shared/core/token-bucket.ts";
import { PacketScanner } from "../../shared/protocol/packet-scanner.ts";

export interface PacketLimits {
  readonly bytesMax: number;
  /** Of the first packet, CONNECT. */
  readonly connectMax: number;
  /** Read before the password is known to be good: what comes after it stays with its sender. */
  readonly unauthenticatedMax: number;
  /** Of any kind: also such as nobody is asked about, like PINGREQ. */
  readonly packets: { readonly burst: number; readonly perSecond: number };
}

/** The same connection, which ends at a packet that is too long, and of which reading can be held. */
export class LimitedConnection extends Duplex {
  readonly socket: Socket;
  #holds = 0;
  /** Bytes that may still be read before `authenticated`. */
  #left: number;

  constructor(socket: Socket, limits: PacketLimits) {
    super({ allowHalfOpen: false });
    this.socket = socket;
    this.#left = limits.unauthenticatedMax;
    const scanner = new PacketScanner(limits.bytesMax, limits.connectMax);
    const { burst, perSecond } = limits.packets;
    const perMs = perSecond / 1_000;
    const bucket = createBucket({ burst, perMs, monotonicMs: () => performance.now() });
    socket.on("data", (chunk: Buffer) => {
      this.#left -= chunk.length;
      const before = scanner.packets;
      if (!scanner.accepts(chunk)) {
        this.destroy(new Error("an MQTT packet is too long"));
        return;
      }
      bucket.charge(scanner.packets - before);
      const waitMs = bucket.waitMs();
      if (waitMs > 0) void this.holdDuring(this.#pause(waitMs));
      if (!this.push(chunk) || this.#isHeld()) socket.pause();
    });
    socket.once("end", () => this.push(null));
    socket.once("error", (error) => this.destroy(error));
    socket.once("close", () => this.destroy());
  }

  /** The password was good. */
  authenticated(): void {
    this.#left = Number.POSITIVE_INFINITY;
    if (!this.#isHeld()) this.socket.resume();
  }

  /** Reads no further until the work is done: aedes goes on reading while its handlers wait. */
  async holdDuring<T>(work: Promise<T>): Promise<T> {
    this.#holds++;
    this.socket.pause();
    try {
      return await work;
    } finally {
      this.#holds--;
      if (!this.#isHeld()) this.socket.resume();
    }
  }

  /** Less where it is closed meanwhile. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.removeListener("close", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.once("close", done);
    });
  }

  #isHeld(): boolean {
    return this.#holds > 0 || this.#left <= 0;
  }

  override _read(): void {
    if (!this.#isHeld()) this.socket.resume();
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}
