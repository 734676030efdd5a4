/** Background tasks of the daemon: the button, and the housekeeping of the store. */
import { setImmediate as breathe } from "node:timers/promises";
import type { Clock } from "../../shared/core/clock.ts";
import { invariant, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import { siteKeyPath } from "../config/paths.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { watchButton } from "../doorbell/button.ts";
import { isDiskFull } from "../host/disk-full.ts";
import { explained } from "../sqlite/failure.ts";
import type { Store } from "../store/open-store.ts";
import { readSiteKey } from "../vault/site-key.ts";
import type { Housekeeping } from "./housekeeping.ts";

export interface BackgroundParts {
  readonly config: () => DeviceConfig;
  readonly store: Pick<Store, "append" | "release" | "latest">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** One line of JSON for each event, without its newline. */
  readonly emit: (line: string) => void;
}

/**
 * The retention interval: telemetry fills a megabyte a day, so what a round sheds lasts for hours.
 */
const HOUSEKEEPING_EVERY_MS = 5_000;
/** The key release interval: an enrolment does not wait for the centre. */
const RELEASE_EVERY_MS = 1_000;

const RETRY_EVERY_MS = 1_000;
const AGAIN_AFTER_MS = 5_000;

export interface BackgroundWork {
  readonly housekeeping: Housekeeping;
  /** Tries again what the store could not take. */
  readonly retry: () => void;
}

/** All background tasks: the button, and the housekeeping of the store. */
export function runBackgroundTasks(
  parts: BackgroundParts,
  { housekeeping, retry }: BackgroundWork,
  signal: AbortSignal,
): { stop(): Promise<void> } {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const running = Promise.all(
    [
      { name: "button", run: () => watchPresses(parts, either) },
      { name: "housekeeping", run: () => runHousekeeping(housekeeping, either) },
      { name: "key release", run: () => keepReleased(parts, either) },
      { name: "waiting entries", run: () => retryAppends(retry, either) },
    ].map((task) => keepRunning(task, parts.logger, either)),
  );
  return {
    async stop() {
      stop.abort();
      await running;
    },
  };
}

/** What goes wrong in one task ends neither the others nor the daemon: it is told, and goes on. */
async function keepRunning(
  { name, run }: { readonly name: string; readonly run: () => Promise<void> },
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await run();
      return;
    } catch (thrown) {
      const error = explained(thrown);
      const known = error instanceof PorchlightError ? error : null;
      logger.error("background task failed, and goes on", {
        task: name,
        code: known?.code,
        reason: messageOf(error),
        hint: known?.hint,
      });
      await pause(AGAIN_AFTER_MS, signal);
    }
  }
}

async function retryAppends(retry: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    retry();
    await pause(RETRY_EVERY_MS, signal);
  }
}

async function runHousekeeping(housekeeping: Housekeeping, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await housekeeping.round(signal);
    await pause(HOUSEKEEPING_EVERY_MS, signal);
  }
}

/** Hands over what the owner has released, as keys come and go. */
async function keepReleased(parts: BackgroundParts, signal: AbortSignal): Promise<void> {
  const { store, config, logger } = parts;
  let logged = "";
  while (!signal.aborted) {
    let more = false;
    try {
      const site = readSiteKey(siteKeyPath(config()));
      const device = store.latest.of("store.opened")?.data.device;
      invariant(device !== undefined, "the first entry of a log names its device");
      const classes = config().sync.release;
      const done = await store.release.step({ device, classes, site });
      const { handedOver, revoked } = done;
      if (handedOver + revoked > 0) {
        logger.debug("key release queued", { handedOver, revoked });
      }
      more = done.more;
      logged = "";
    } catch (error) {
      // On a full disk the next round retries; a key that cannot be read needs attention.
      if (isDiskFull(error)) continue;
      if (!(error instanceof PorchlightError)) throw error;
      if (logged !== error.code)
        logger.error(error.message, { code: error.code, hint: error.hint });
      logged = error.code;
    } finally {
      await (more ? breathe() : pause(RELEASE_EVERY_MS, signal));
    }
  }
}

/** Appends every press of the configured button: durable first, with its live notification. */
async function watchPresses(parts: BackgroundParts, signal: AbortSignal): Promise<void> {
  const { button } = parts.config();
  if (button === undefined) return;
  const pressed = (): void => {
    const data = { button: button.name };
    const [cursor] = parts.store.append([{ type: "button.pressed", actor: "device", data }]);
    parts.emit(JSON.stringify({ event: "button.pressed", seq: cursor?.seq ?? null, ...data }));
  };
  await watchButton({ ...parts, button, pressed }, signal);
}
