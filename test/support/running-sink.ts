import { randomUUID } from "node:crypto";
import type { CentralLog } from "../../cloud-sync/log/event-log.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import { createSinkCursor, type SinkCursor } from "../../cloud-sync/sinks/runner/cursors.ts";
import { createSinkRunner, type SinkRunner } from "../../cloud-sync/sinks/runner/runner.ts";
import type { AnySink } from "../../cloud-sync/sinks/sink.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { keepingLogger } from "./ingest.ts";

/** Quick enough for a test, and long enough to be seen. */
const LIMITS = {
  failuresMax: 2,
  retry: { firstMs: 20, maxMs: 50 },
  open: { firstMs: 400, maxMs: 800 },
};

/** A sink that runs, as in one instance of a centre. */
export class RunningSink {
  readonly logged = keepingLogger();
  readonly runner: SinkRunner;
  readonly cursor: SinkCursor;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(
    sink: AnySink,
    { log, database }: { readonly log: CentralLog; readonly database: Database },
    around: (cursor: SinkCursor) => SinkCursor = (cursor) => cursor,
  ) {
    this.cursor = around(createSinkCursor(database, sink.name, randomUUID()));
    this.runner = createSinkRunner({
      sink,
      log,
      cursor: this.cursor,
      clock: systemClock,
      random: Math.random,
      logger: this.logged.logger,
      limits: LIMITS,
    });
    this.#ended = this.runner.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
