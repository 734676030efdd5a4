/** Composition root of porchlight-sync.service: the daemon's feed → the centre. It opens no store. */
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { readBundle } from "../config/bundle-file.ts";
import { loadConfig } from "../config/load.ts";
import { bundleSources, feedPath, syncStatusPath } from "../config/paths.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { createProcessLogger } from "../host/process-logger.ts";
import { createNotifier } from "../host/sd-notify.ts";
import { onStopAsked } from "../host/signals.ts";
import { connectSocket } from "../host/unix-socket.ts";
import { VERSION } from "../host/version.ts";
import { createMediaFiles, mediaFolder } from "../media/media-files.ts";
import { runAgent } from "../sync/agent.ts";
import { createPut, isLocal } from "../sync/put.ts";
import { writeStatus } from "./status-file.ts";

const { values } = parseArgs({
  options: {
    config: { type: "string" },
    data: { type: "string" },
    "until-acked": { type: "boolean", default: false },
  },
});
const environment = process.env;
const file = values.config ?? environment["PORCHLIGHT_CONFIG"];
let config: DeviceConfig | undefined;
const logger = createProcessLogger(() => config?.log.level);

async function run(): Promise<void> {
  config = loadConfig({ file, data: values.data, environment });
  const bundle = readBundle(bundleSources(config, environment));
  const stop = new AbortController();
  onStopAsked(() => stop.abort());
  const { monotonicMs, now } = systemClock;
  const notifier = createNotifier({ environment, monotonicMs, logger });
  const statusPath = syncStatusPath(config);
  const path = feedPath(config);
  try {
    notifier.ready();
    await runAgent(
      {
        feed: { path, connect: () => connectSocket(path) },
        bundle,
        version: VERSION,
        objects: createMediaFiles({
          folder: mediaFolder(resolve(config.data)),
          newId: randomUUID,
        }),
        put: createPut({ ca: bundle.ca, local: isLocal(bundle.url) }),
        clock: systemClock,
        random: Math.random,
        logger,
        untilAcked: values["until-acked"],
        report(status) {
          writeStatus(statusPath, { ...status, atMs: now(), pid: process.pid });
          notifier.status(status.reason ?? status.state);
        },
        alive: notifier.alive,
      },
      stop.signal,
    );
    notifier.stopping();
  } finally {
    await notifier.close();
  }
}

try {
  await run();
} catch (error) {
  if (!(error instanceof PorchlightError)) throw error;
  logger.error(error.message, { code: error.code, hint: error.hint });
  process.exitCode = error.exitCode ?? EXIT.failed;
}
