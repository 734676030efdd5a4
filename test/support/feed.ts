import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startFeed } from "../../edge/feed/feed.ts";
import { type FeedServerOptions, serveFeed } from "../../edge/feed/server.ts";
import { connectSocket } from "../../edge/host/unix-socket.ts";
import { createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { createKeyOutbox } from "../../edge/log/key-outbox.ts";
import { createLiveOutbox } from "../../edge/log/live-outbox.ts";
import type { OpenLog } from "../../edge/log/open-log.ts";
import { createUploadedStore } from "../../edge/log/uploaded.ts";
import { dataVersion } from "../../edge/sqlite/database.ts";
import type { FeedAddress } from "../../edge/sync/feed-client.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { deviceOf } from "./device.ts";
import type { TestStore } from "./store.ts";

/** Everything that a feed of this store is made of, the socket beside it. */
export function feedOptions(
  { reader, database }: Pick<OpenLog, "reader" | "database">,
  folder: string,
  more: Partial<FeedServerOptions> = {},
): FeedServerOptions {
  return {
    path: join(folder, "feed", "feed.sock"),
    device: deviceOf(reader),
    reader,
    live: createLiveOutbox(database, systemClock),
    keys: createKeyOutbox(database, systemClock),
    version: () => dataVersion(database),
    verifier: () => null,
    placesOf: (verifier) => ({
      acked: createAckedStore(database, verifier?.site ?? UNSIGNED_SITE),
      uploaded: createUploadedStore(database, verifier?.site ?? UNSIGNED_SITE),
    }),
    newNonce: () => randomBytes(16).toString("base64url"),
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
    ...more,
  };
}

export function feedAddress(path: string): FeedAddress {
  return { path, connect: () => connectSocket(path) };
}

/** Serves it in this thread. */
export async function serve(options: FeedServerOptions) {
  const server = await serveFeed(options);
  return { ...server, address: feedAddress(options.path) };
}

/** The real thing, in a thread of its own, as the daemon starts it. */
export function startTestFeed(at: TestStore) {
  const { folder, logKey } = at.options;
  return startFeed({
    ...{ folder, logKey, logger: silentLogger, random: Math.random },
    path: join(folder, "feed", "feed.sock"),
    signingKeyPath: join(folder, "vault", "site-signing-key"),
  });
}
