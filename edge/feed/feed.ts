/** Serves the agent from a thread of its own, for as long as the daemon runs. */
import { Worker } from "node:worker_threads";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import type { FeedWorkerData, FromWorker } from "./worker.ts";

export interface FeedOptions extends FeedWorkerData {
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

export interface Feed {
  /** Entries were appended: live messages go out at once. */
  notify(): void;
  /** Resolves once it listens. Throws what keeps it from it the first time. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

/** Compiled it is JavaScript; in the tests it is run as it stands. */
const WORKER = new URL(
  `./worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);
/** Of the thread alone: what is over it ends the thread, and not the daemon. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };
const BACKOFF = { firstMs: 500, maxMs: 60_000 };
const STOP_TIMEOUT_MS = 2_000;

export function startFeed({ random, logger, ...data }: FeedOptions): Feed {
  const stopping = new AbortController();
  let worker: Worker | null = null;
  let listening: () => void = () => undefined;
  let failedFirst: (error: unknown) => void = () => undefined;
  const ready = new Promise<void>((done, failed) => {
    listening = done;
    failedFirst = failed;
  });
  // Who does not ask is told by the log.
  ready.catch(() => undefined);
  let attempt = 0;
  const once = (): Promise<void> =>
    new Promise((ended) => {
      const own = new Worker(WORKER, { workerData: data, resourceLimits: RESOURCE_LIMITS });
      worker = own;
      own.on("message", (said: FromWorker) => {
        if (said.type === "log") logger[said.level](said.message, said.fields);
        else if (said.type === "ready") {
          attempt = 0;
          listening();
        } else {
          const { code, message, hint } = said;
          logger.error(message, { code, hint });
          failedFirst(new PorchlightError(code, message, hint === undefined ? {} : { hint }));
        }
      });
      own.on("error", (error) => {
        logger.error("feed failed", { reason: String(error) });
        failedFirst(error);
      });
      own.on("exit", () => {
        if (worker === own) worker = null;
        ended();
      });
    });
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await once();
      if (stopping.signal.aborted) return;
      const retryInMs = backoffMs(attempt++, { ...BACKOFF, random });
      logger.warn("feed restarts: the agent is not served meanwhile", { retryInMs });
      await pause(retryInMs, stopping.signal);
    }
  })();
  return {
    notify: () => worker?.postMessage("notify"),
    ready,
    async stop() {
      stopping.abort();
      worker?.postMessage("stop");
      const waited = new AbortController();
      await Promise.race([running, pause(STOP_TIMEOUT_MS, waited.signal)]);
      waited.abort();
      await worker?.terminate();
      await running;
    },
  };
}
