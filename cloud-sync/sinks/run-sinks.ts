/** The sinks of a centre, each with a runner of its own: one that waits delays no other. */
import type { Clock } from "../../shared/clock.ts";
import type { Logger } from "../../shared/logger.ts";
import type { CentralLog } from "../log/event-log.ts";
import type { Database } from "../postgres/database.ts";
import { createSinkCursor } from "./cursors.ts";
import { createLogOwners } from "./log-owners.ts";
import { createPostgresSink } from "./postgres.ts";
import { createSinkRunner, type RunnerFigures } from "./runner.ts";
import type { Sink } from "./sink.ts";

export interface SinksOptions {
  readonly database: Database;
}

/** What this centre projects into. */
export function createSinks({ database }: SinksOptions): readonly Sink[] {
  const devicesOf = createLogOwners(database);
  return [createPostgresSink({ database, devicesOf })];
}

export interface RunSinksOptions {
  readonly sinks: readonly Sink[];
  readonly log: Pick<CentralLog, "readAfter">;
  readonly database: Database;
  /** Who runs them, among several centres on one database. */
  readonly instance: string;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

export interface RunningSinks {
  /** Until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  figures(): readonly RunnerFigures[];
}

export function createRunningSinks(options: RunSinksOptions): RunningSinks {
  const { sinks, database, instance, ...common } = options;
  const runners = sinks.map((sink) => {
    const cursor = createSinkCursor(database, sink.name, instance);
    return createSinkRunner({ ...common, sink, cursor });
  });
  return {
    async run(signal) {
      await Promise.all(runners.map((runner) => runner.run(signal)));
    },
    figures: () => runners.map((runner) => runner.figures()),
  };
}
