import { randomUUID } from "node:crypto";
import { systemClock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { logOptions } from "../config/options.ts";
import { feedPath, isInstalled, signingKeyPath } from "../config/paths.ts";
import { type Feed, startFeed } from "../feed/feed.ts";
import { createProcessLogger } from "../host/process-logger.ts";
import { connectSocket } from "../host/unix-socket.ts";
import type { Invocation } from "./verb.ts";

/** A feed for an agent that this command starts; null where a daemon serves one. */
export async function feedOf({ config, environment }: Invocation): Promise<Feed | null> {
  const path = feedPath(config());
  if (await answers(path)) return null;
  const { folder, logKey } = ownLog({ config, environment });
  const feed = startFeed({
    ...{ folder, logKey, path, signingKeyPath: signingKeyPath(config()) },
    random: Math.random,
    logger: createProcessLogger(() => config().log.level),
  });
  await feed.ready;
  return feed;
}

function ownLog({ config, environment }: Pick<Invocation, "config" | "environment">) {
  try {
    return logOptions(config(), environment, systemClock, randomUUID);
  } catch (cause) {
    const noKey = cause instanceof PorchlightError && cause.code === "key.missing";
    if (!noKey || !isInstalled(config())) throw cause;
    throw new PorchlightError("sync.feed", "no daemon serves the log to this command", {
      hint: "start it: sudo systemctl start porchlight",
      cause,
    });
  }
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
