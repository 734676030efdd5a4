import { randomUUID } from "node:crypto";
import { systemClock } from "../../shared/core/clock.ts";
import { logOptions } from "../config/options.ts";
import { feedPath, signingKeyPath } from "../config/paths.ts";
import { type Feed, startFeed } from "../feed/feed.ts";
import { createProcessLogger } from "../host/process-logger.ts";
import { connectSocket } from "../host/unix-socket.ts";
import type { Invocation } from "./verb.ts";

/** A feed for an agent that this command starts; null where a daemon serves one. */
export async function feedOf({ config, environment }: Invocation): Promise<Feed | null> {
  const path = feedPath(config());
  if (await answers(path)) return null;
  const { folder, logKey } = logOptions(config(), environment, systemClock, randomUUID);
  const feed = startFeed({
    ...{ folder, logKey, path, signingKeyPath: signingKeyPath(config()) },
    random: Math.random,
    logger: createProcessLogger(() => config().log.level),
  });
  await feed.ready;
  return feed;
}

async function answers(path: string): Promise<boolean> {
  const socket = connectSocket(path);
  try {
    return await new Promise<boolean>((done) => {
      socket.once("connect", () => done(true)).once("error", () => done(false));
    });
  } finally {
    socket.destroy();
  }
}
