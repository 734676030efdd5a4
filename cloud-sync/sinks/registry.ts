/** The sinks of a centre, each with its own runner: one that is held up delays no other. */
import { readFileSync } from "node:fs";
import type { Clock } from "../../shared/core/clock.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { CloudConfig } from "../config/schema.ts";
import type { OpenPersonal } from "../keyring/keyring.ts";
import { createKeyring, type Keyring } from "../keyring/keyring.ts";
import { type CentralLog, createCentralLog } from "../log/event-log.ts";
import { type ArchivedPages, createLogPages } from "../log/pages.ts";
import type { Database } from "../postgres/database.ts";
import { createFaceEncodings, type FaceEncodings } from "./faces/sink.ts";
import { createInflux, type Influx } from "./influx/sink.ts";
import { createKeyErasure } from "./key-erasure/sink.ts";
import type { QueryMetrics } from "./metrics/query.ts";
import { createTimeSeries, type TimeSeries } from "./metrics/sink.ts";
import type { AnyProjection } from "./projection.ts";
import { createReadModels } from "./read-models/sink.ts";
import type { SinkRunner, SinkStats } from "./runner/condition.ts";
import { createSinkCursor } from "./runner/cursors.ts";
import { createProjector } from "./runner/projector.ts";
import { createSinkRunner } from "./runner/runner.ts";
import type { Sink } from "./sink.ts";
import { createLogOwners, type DevicesOf } from "./support/device-of-log.ts";

export interface SinksOptions {
  readonly config: Pick<CloudConfig, "influx" | "metrics">;
  readonly database: Database;
  readonly clock: Clock;
  /** Opens what was released to this site. Without it, no face is searched for here. */
  readonly openPersonal?: OpenPersonal;
  /** The keys that were released (default: one that opens none of them). */
  readonly keyring?: Keyring;
}

export interface Sinks {
  /** In our own database. */
  readonly projections: readonly AnyProjection[];
  /** In stores elsewhere. */
  readonly sinks: readonly Sink[];
  /** Null where nothing is opened. */
  readonly faces: Pick<FaceEncodings, "nearest"> | null;
  /** Points in time, from wherever they are kept. */
  readonly queryMetrics: QueryMetrics;
}

/** What this centre projects into. */
export function createSinks(options: SinksOptions): Sinks {
  const { config, database, clock, openPersonal: open } = options;
  const devicesOf = createLogOwners(database);
  const keyring = options.keyring ?? createKeyring({ database, site: null });
  const late = { keys: keyring, log: createCentralLog(database) };
  const metrics = createMetrics(config, database, clock, devicesOf);
  const faces =
    open === undefined ? null : createFaceEncodings({ database, devicesOf, open, late });
  const projections: AnyProjection[] = [
    createReadModels({ devicesOf }),
    createKeyErasure({ keyring, devicesOf }),
  ];
  const sinks: Sink[] = [];
  if ("projection" in metrics) projections.push(metrics.projection);
  else sinks.push(metrics.sink);
  if (faces !== null) projections.push(faces.projection);
  return { projections, sinks, faces, queryMetrics: metrics.query };
}

/** In InfluxDB where one is configured, else in our own database. */
function createMetrics(
  { influx, metrics }: Pick<CloudConfig, "influx" | "metrics">,
  database: Database,
  clock: Clock,
  devicesOf: DevicesOf,
): TimeSeries | Influx {
  const { url } = influx;
  const common = { devicesOf, retention: metrics.retention, clock };
  if (url === undefined) return createTimeSeries({ database, ...common });
  const ca = influx.ca === undefined ? undefined : readFileSync(influx.ca, "utf8");
  return createInflux({ ...influx, url, ca, ...common });
}

export interface RunSinksOptions {
  readonly projections: readonly AnyProjection[];
  readonly sinks: readonly Sink[];
  readonly log: CentralLog;
  /** Months that left the database, for what is built from the first entry on. */
  readonly archived: ArchivedPages | null;
  readonly database: Database;
  /** Who runs them, among several centres on one database. */
  readonly instance: string;
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Whether ingest has all hands full. */
  readonly busy?: () => boolean;
}

export interface RunningSinks {
  /** Until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  stats(): readonly SinkStats[];
}

export function createRunningSinks(options: RunSinksOptions): RunningSinks {
  const { projections, sinks, database, instance, archived, ...common } = options;
  // Sinks that are level read the same pages.
  const pages = createLogPages(common.log, archived);
  const runners: readonly SinkRunner[] = [
    ...projections.map((projection) =>
      createProjector({ ...common, projection, pages, database, instance }),
    ),
    ...sinks.map((sink) => {
      const cursor = createSinkCursor(database, sink.name, instance);
      return createSinkRunner({ ...common, sink, pages, cursor });
    }),
  ];
  return {
    async run(signal) {
      await Promise.all(runners.map((runner) => runner.run(signal)));
    },
    stats: () => runners.map((runner) => runner.stats()),
  };
}

/** The names of these sinks' cursors. */
export function namesOf({ projections, sinks }: Pick<Sinks, "projections" | "sinks">): string[] {
  return [...projections, ...sinks].map(({ name }) => name);
}
