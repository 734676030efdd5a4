import type { AckedPlace } from "./ports.ts";

/** The acknowledged cursor is a cache: what a crash loses of it the centre says again. */
const EVERY_MS = 1_000;

type Acked = NonNullable<ReturnType<AckedPlace["read"]>>;

/** Writes the acknowledged cursor down, once a second at most while there are more acks to come. */
export class AckedWriter {
  readonly #store: Pick<AckedPlace, "read" | "write">;
  #waiting: Acked | null = null;
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(store: Pick<AckedPlace, "read" | "write">) {
    this.#store = store;
  }

  read(): Acked | null {
    return this.#store.read();
  }

  /** Written now or by a later `write`; at once by `flush`. */
  put(acked: Acked, nowMs: number): void {
    this.#waiting = acked;
    this.write(nowMs);
  }

  /** Writes what is due. */
  write(nowMs: number): void {
    if (nowMs - this.#writtenMs >= EVERY_MS) this.flush(nowMs);
  }

  flush(nowMs: number): void {
    if (this.#waiting === null) return;
    this.#store.write(this.#waiting);
    this.#waiting = null;
    this.#writtenMs = nowMs;
  }
}
