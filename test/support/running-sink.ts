import { randomUUID } from "node:crypto";
import type { CentralLog } from "../../cloud-sync/log/event-log.ts";
import { type ArchivedPages, createLogPages } from "../../cloud-sync/log/pages.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import type { AnyProjection } from "../../cloud-sync/sinks/projection.ts";
import type { SinkRunner } from "../../cloud-sync/sinks/runner/condition.ts";
import { createSinkCursor, type SinkCursor } from "../../cloud-sync/sinks/runner/cursors.ts";
import { createProjector } from "../../cloud-sync/sinks/runner/projector.ts";
import { createSinkRunner } from "../../cloud-sync/sinks/runner/runner.ts";
import type { Sink } from "../../cloud-sync/sinks/sink.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { keepingLogger } from "./ingest.ts";

/** Quick enough for a test, and long enough to be seen. */
const LIMITS = {
  failuresMax: 2,
  retry: { firstMs: 20, maxMs: 50 },
  open: { firstMs: 150, maxMs: 300 },
};

export interface Surroundings {
  readonly log: CentralLog;
  readonly database: Database;
  readonly archived?: ArchivedPages;
  readonly busy?: () => boolean;
}

/** A sink that runs, as in one instance of a centre. */
export class RunningSink {
  readonly logged = keepingLogger();
  readonly runner: SinkRunner;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(
    sink: Sink | AnyProjection,
    { log, database, archived, busy }: Surroundings,
    around: (cursor: SinkCursor) => SinkCursor = (cursor) => cursor,
  ) {
    const [instance, { logger }] = [randomUUID(), this.logged];
    const pages = createLogPages(log, archived ?? null);
    const common = {
      log,
      pages,
      clock: systemClock,
      random: Math.random,
      logger,
      limits: LIMITS,
      lookEveryMs: 50,
    };
    if ("prepare" in sink) {
      this.runner = createProjector({
        ...{ ...common, projection: sink, database, instance },
        ...(busy !== undefined && { busy }),
      });
    } else {
      const cursor = around(createSinkCursor(database, sink.name, instance));
      this.runner = createSinkRunner({ ...common, sink, cursor });
    }
    this.#ended = this.runner.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
