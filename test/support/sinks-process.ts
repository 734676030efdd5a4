/** Runs the read models and the time series of a database as an instance of a centre does. */
import { randomUUID } from "node:crypto";
import { createCentralLog } from "../../cloud-sync/log/event-log.ts";
import { createDatabase } from "../../cloud-sync/postgres/database.ts";
import { createRunningSinks, createSinks } from "../../cloud-sync/sinks/registry.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";

const [, , url = ""] = process.argv;
const database = createDatabase({ url, logger: silentLogger, random: Math.random });
const log = createCentralLog(database);
const retention = { rawDays: 100_000, minuteDays: 100_000, hourDays: 100_000 };
const config = { influx: { version: 2, manage: true }, metrics: { retention } } as const;
const stores = createSinks({ config, database, clock: systemClock });
const running = createRunningSinks({
  ...stores,
  ...{ database, log, archived: null, clock: systemClock, random: Math.random },
  instance: randomUUID(),
  logger: silentLogger,
});
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.stdout.write("running\n");
await running.run(stop.signal);
await database.close();
