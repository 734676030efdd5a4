/** The agent's end of the feed: everything it knows of the device comes from here. */
import type { Socket } from "node:net";
import { messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import {
  DOWN_BYTES_MAX,
  type DownFrame,
  encodeFrame,
  FEED_VERSION,
  FrameReader,
  readDown,
  type UpFrame,
} from "../../shared/protocol/feed.ts";

export interface FeedClient {
  /** Who the daemon says that this device is. */
  readonly device: string;
  send(frame: UpFrame, body?: Buffer): void;
  /** Frames go to the session that stands now; without one they are dropped. */
  listen(take: (frame: DownFrame, body: Buffer) => void): void;
  /** Why the connection ended; settles exactly once. */
  readonly ended: Promise<PorchlightError>;
  close(): void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const ALIVE_EVERY_MS = 10_000;

export interface FeedAddress {
  readonly path: string;
  readonly connect: () => Socket;
}

/**
 * Connects, and greets. Throws `sync.feed` (remedy `retry`) where no daemon answers, `sync.busy`
 * where it serves another agent.
 */
export async function connectFeed(
  { path, connect }: FeedAddress,
  version: string,
): Promise<FeedClient> {
  const socket = connect();
  const frames = new FrameReader(DOWN_BYTES_MAX);
  let listener: (frame: DownFrame, body: Buffer) => void = () => undefined;
  let end: (reason: PorchlightError) => void = () => undefined;
  const ended = new Promise<PorchlightError>((resolve) => {
    end = resolve;
  });
  let welcome: (device: string) => void = () => undefined;
  const welcomed = new Promise<string>((resolve) => {
    welcome = resolve;
  });
  const take = (frame: DownFrame, body: Buffer): void => {
    if (frame.type === "welcome") welcome(frame.device);
    else if (frame.type === "refused") end(refusedError(path, frame));
    else listener(frame, body);
  };
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const raw of frames.push(chunk)) take(readDown(raw), raw.body);
    } catch (error) {
      end(feedError(path, messageOf(error)));
      socket.destroy();
    }
  });
  socket.on("error", (error) => end(feedError(path, whyOf(error), error)));
  socket.on("close", () => end(feedError(path, "the daemon closed the connection")));
  const send = (frame: UpFrame, body?: Buffer): void => {
    if (socket.writable) socket.write(encodeFrame(frame, body));
  };
  send({ type: "hello", feed: FEED_VERSION, version });
  const device = await greeted(socket, path, welcomed, ended);
  const alive = setInterval(() => send({ type: "alive" }), ALIVE_EVERY_MS);
  void ended.then(() => clearInterval(alive));
  return {
    device,
    send,
    listen(take) {
      listener = take;
    },
    ended,
    close: () => socket.destroy(),
  };
}

async function greeted(
  socket: Socket,
  path: string,
  welcomed: Promise<string>,
  ended: Promise<PorchlightError>,
): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<PorchlightError>((resolve) => {
    const silent = (): void => resolve(feedError(path, "the daemon gives no answer"));
    timer = setTimeout(silent, CONNECT_TIMEOUT_MS);
  });
  try {
    const first = await Promise.race([welcomed, ended, late]);
    if (typeof first === "string") return first;
    throw first;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function refusedError(
  path: string,
  { code, message }: Extract<DownFrame, { type: "refused" }>,
): PorchlightError {
  if (code !== "feed.busy") return feedError(path, message);
  return new PorchlightError("sync.busy", message, {
    remedy: "stop",
    hint: "stop the other one first: systemctl stop porchlight-sync",
  });
}

function whyOf(error: unknown): string {
  const code = systemCodeOf(error);
  if (code === "ENOENT" || code === "ECONNREFUSED") return "no daemon serves it";
  if (code === "EACCES") return "this user may not use it";
  return messageOf(error);
}

function feedError(path: string, why: string, cause?: unknown): PorchlightError {
  return new PorchlightError("sync.feed", `no log from the feed ${path}: ${why}`, {
    remedy: "retry",
    hint: "see whether the daemon runs: systemctl status porchlight",
    cause,
  });
}
