/**
 * The feed's thread: reads the log over a connection of its own, so that no frame of the camera
 * waits for the agent. Where it ends, feed.ts starts another.
 */
import { randomBytes } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../shared/core/clock.ts";
import { invariant, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { LogFields, LogLevel } from "../../shared/core/logger.ts";
import { createAckedStore, UNSIGNED_SITE } from "../log/acked.ts";
import { deviceOf } from "../log/device-of.ts";
import { createKeyOutbox } from "../log/key-outbox.ts";
import { createLiveOutbox } from "../log/live-outbox.ts";
import { openLog } from "../log/open-log.ts";
import { createUploadedStore } from "../log/uploaded.ts";
import { dataVersion } from "../sqlite/database.ts";
import { readAnswerVerifier } from "../vault/site-key.ts";
import { createLogLimit } from "./log-limit.ts";
import { serveFeed } from "./server.ts";

/** Plain data: what the thread is started with. */
export interface FeedWorkerData {
  readonly folder: string;
  readonly logKey: Uint8Array;
  readonly path: string;
  readonly signingKeyPath: string;
}

/** What the thread says. */
export type FromWorker =
  | { readonly type: "ready" }
  | {
      readonly type: "log";
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: LogFields;
    }
  | {
      readonly type: "failed";
      readonly code: string;
      readonly message: string;
      readonly hint: string | undefined;
    };

const NONCE_BYTES = 16;

const port = parentPort;
invariant(port !== null, "the feed runs in a thread of its own");
const say = (message: FromWorker): void => port.postMessage(message);
const data: FeedWorkerData = workerData;
const logger = createLogLimit(systemClock.monotonicMs, (level, message, fields) =>
  say({ type: "log", level, message, fields }),
);

try {
  const opened = openLog({
    folder: data.folder,
    logKey: Buffer.from(data.logKey),
    clock: systemClock,
    // It appends nothing.
    clockState: () => "unsynced",
    newId: () => "",
    // What it writes the centre says again; what it reads it reads once.
    synchronous: "NORMAL",
    cacheKiB: 1_024,
  });
  const { database, reader } = opened;
  const device = deviceOf(reader);
  if (device === null) throw unreadable();
  const server = await serveFeed({
    path: data.path,
    device,
    reader,
    live: createLiveOutbox(database, systemClock),
    keys: createKeyOutbox(database, systemClock),
    version: () => dataVersion(database),
    verifier: () => readAnswerVerifier(data.signingKeyPath),
    placesOf: (verifier) => {
      const site = verifier?.site ?? UNSIGNED_SITE;
      return {
        acked: createAckedStore(database, site),
        uploaded: createUploadedStore(database, site),
      };
    },
    newNonce: () => randomBytes(NONCE_BYTES).toString("base64url"),
    clock: systemClock,
    random: Math.random,
    logger,
  });
  port.on("message", (message: "notify" | "stop") => {
    if (message === "notify") server.notify();
    else {
      void server.close().then(() => {
        opened.close();
        port.close();
      });
    }
  });
  say({ type: "ready" });
} catch (error) {
  const known = error instanceof PorchlightError ? error : null;
  const code = known?.code ?? "feed.failed";
  say({ type: "failed", code, message: messageOf(error), hint: known?.hint });
  port.close();
}

function unreadable(): PorchlightError {
  return new PorchlightError("log.unreadable", "the first entry of this log cannot be read", {
    hint: "see what is wrong: porchlight log verify",
  });
}
