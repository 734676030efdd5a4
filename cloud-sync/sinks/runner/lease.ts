/** The lease of a sink: one of several instances holds its row, and renews it. */
import type { Clock } from "../../../shared/core/clock.ts";
import type { Logger } from "../../../shared/core/logger.ts";
import { pause } from "../../../shared/core/retry.ts";
import { codeOf } from "../sink.ts";
import { LEASE_MS, type SinkCursor } from "./cursors.ts";

export interface LeaseOptions {
  readonly cursor: Pick<SinkCursor, "hold">;
  readonly clock: Pick<Clock, "monotonicMs">;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #logger: Logger;

  constructor(options: LeaseOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  async hold(): Promise<boolean> {
    try {
      return (await this.#options.cursor.hold()) !== null;
    } catch (error) {
      this.#logger.warn("sink lease not renewed: database unavailable", { code: codeOf(error) });
      return false;
    }
  }

  /** Holds it until the signal is aborted; aborts `lost` when another may have taken over. */
  async beat(lost: AbortController, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let heldMs = clock.monotonicMs();
    for (;;) {
      await pause(LEASE_MS / 3, signal);
      if (signal.aborted) return;
      if (await this.hold()) heldMs = clock.monotonicMs();
      else if (clock.monotonicMs() - heldMs >= LEASE_MS - LEASE_MS / 3) lost.abort();
    }
  }
}
