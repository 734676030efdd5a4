/** Composition root of the daemon: configuration → store → rooms → run. Reads argv, env and time. */
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { systemClock } from "../../shared/core/clock.ts";
import type { Migrated } from "../../shared/core/config-migration.ts";
import { reloadConfig } from "../../shared/core/config-reload.ts";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { loadConfig } from "../config/load.ts";
import { logOptions, storeOptions } from "../config/options.ts";
import { feedPath, signingKeyPath } from "../config/paths.ts";
import { type DeviceConfig, deviceConfigSchema } from "../config/schema.ts";
import { startFeed } from "../feed/feed.ts";
import { bootId } from "../host/boot-id.ts";
import { createProcessLogger } from "../host/process-logger.ts";
import { createNotifier } from "../host/sd-notify.ts";
import { onStopAsked } from "../host/signals.ts";
import { VERSION } from "../host/version.ts";
import { announcing } from "../store/announcing.ts";
import { openStore } from "../store/open-store.ts";
import { runDaemon } from "./daemon.ts";

/** A stop that takes longer is cut short: systemd would do the same, less politely. */
const STOP_TIMEOUT_MS = 4_500;

const { values } = parseArgs({ options: { config: { type: "string" }, data: { type: "string" } } });
const environment = process.env;
const request = {
  file: values.config ?? environment["PORCHLIGHT_CONFIG"],
  data: values.data,
  environment,
  migrated({ from, renamed }: Migrated) {
    logger.warn("configuration of an earlier version: keys migrated in memory", {
      version: from,
      renamed: renamed.join(", "),
      hint: "rewrite it: porchlight config migrate",
    });
  },
};
let config: DeviceConfig;
const logger = createProcessLogger(() => config?.log.level);

function fail(error: unknown): number {
  if (!(error instanceof PorchlightError)) throw error;
  logger.error(error.message, { code: error.code, hint: error.hint });
  return error.exitCode;
}

function readAgain(): void {
  try {
    const reloaded = reloadConfig(deviceConfigSchema, config, loadConfig(request));
    const { changed, needsRestart } = reloaded;
    config = reloaded.config;
    logger.info("configuration reloaded", {
      changed: changed.join(", ") || "nothing",
      needsRestart: needsRestart.join(", ") || "nothing",
    });
  } catch (error) {
    fail(error);
  }
}

async function run(): Promise<number> {
  config = loadConfig(request);
  const stop = new AbortController();
  const onStop = (): void => {
    stop.abort();
    setTimeout(() => {
      logger.error("shutdown timed out");
      process.exit(EXIT.failed);
    }, STOP_TIMEOUT_MS).unref();
  };
  const { monotonicMs } = systemClock;
  const notifier = createNotifier({ environment, monotonicMs, logger });
  const reload = (): void => {
    readAgain();
    notifier.reloaded();
  };
  onStopAsked(onStop);
  process.on("SIGHUP", reload);
  const opened = openStore({
    ...storeOptions(config, environment, systemClock, randomUUID),
    passedOver: (seq, reason) => logger.warn("entry skipped", { seq, reason: messageOf(reason) }),
  });
  const { folder, logKey } = logOptions(config, environment, systemClock, randomUUID);
  const paths = { path: feedPath(config), signingKeyPath: signingKeyPath(config) };
  const feed = startFeed({ folder, logKey, ...paths, random: Math.random, logger });
  const store = announcing(opened, feed);
  try {
    await runDaemon(
      {
        config: () => config,
        store,
        clock: systemClock,
        newId: randomUUID,
        random: Math.random,
        path: environment["PATH"] ?? "",
        logger,
        notifier,
        version: VERSION,
        boot: bootId(),
        emit: (line) => process.stdout.write(`${line}\n`),
      },
      stop.signal,
    );
    return EXIT.ok;
  } finally {
    await feed.stop();
    await notifier.close();
    opened.close();
    process.removeListener("SIGHUP", reload);
  }
}

try {
  process.exitCode = await run();
} catch (error) {
  process.exitCode = fail(error);
}
