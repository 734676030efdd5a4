import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import { HALTED, type Halt } from "../../shared/protocol/feed.ts";
import type { AckedPlace } from "./ports.ts";

/** Writes down and logs why nothing is sent: once, also where a later connection finds the same. */
export class HaltRecord {
  readonly #store: Pick<AckedPlace, "halted" | "halt">;
  readonly #logger: Logger;

  constructor(store: Pick<AckedPlace, "halted" | "halt">, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  put(halted: Halt, { log, seq }: Pick<Cursor, "log" | "seq">): void {
    const level = this.#store.halted() === halted ? "debug" : "error";
    this.#logger[level](HALTED[halted], { log, seq, reason: halted });
    this.#store.halt(halted);
  }

  clear(): void {
    if (this.#store.halted() !== null) this.#store.halt(null);
  }
}
