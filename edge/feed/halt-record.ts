import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { HALTED, type Halt } from "../../shared/protocol/feed.ts";
import type { AckedPlace } from "./ports.ts";

/** Writes down and logs why nothing is sent: once, also where a later connection finds the same. */
export class HaltRecord {
  readonly #store: Pick<AckedPlace, "halted" | "halt">;
  readonly #logger: Logger;
  /** What is written down; undefined before it was read. An ack must not read it each time. */
  #written: string | null | undefined;

  constructor(store: Pick<AckedPlace, "halted" | "halt">, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  put(halted: Halt, { log, seq }: Pick<Cursor, "log" | "seq">): void {
    const level = this.#stored() === halted ? "debug" : "error";
    this.#logger[level](HALTED[halted], { log, seq, reason: halted });
    this.#store.halt(halted);
    this.#written = halted;
  }

  clear(): void {
    if (this.#stored() === null) return;
    this.#store.halt(null);
    this.#written = null;
  }

  #stored(): string | null {
    if (this.#written === undefined) this.#written = this.#store.halted();
    return this.#written;
  }
}
