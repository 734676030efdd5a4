/**
 * The feed's socket: one agent at a time, whose frames are bounded and whose work is limited, so that
 * the worst it can do is to say nothing.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { plainLine } from "../../shared/core/printable.ts";
import { createBucket } from "../../shared/core/token-bucket.ts";
import {
  type DownFrame,
  encodeFrame,
  FrameReader,
  UP_BYTES_MAX,
} from "../../shared/protocol/feed.ts";
import { type SocketPath, socketPath } from "../host/unix-socket.ts";
import { type FeedParts, FeedSession } from "./session.ts";
import { createWorkBudget } from "./work-budget.ts";

export interface FeedServer {
  /** The log may have grown: what is new goes out at once. */
  notify(): void;
  close(): Promise<void>;
}

export interface FeedServerOptions extends FeedParts {
  /** Of the socket. One that a killed daemon has left is replaced. */
  readonly path: string;
}

/** Of the agent's group: the folder gives it to the socket. */
const SOCKET_MODE = 0o660;
const TICK_MS = 50;
/** A daemon that is asked to stop has a few seconds for everything. */
const LAST_WORDS_MS = 1_000;
/** An agent says that it is alive every 10 s. */
const QUIET_MAX_MS = 60_000;
const HELLO_TIMEOUT_MS = 5_000;
/** The agent, and one that is about to take its place. */
const CONNECTIONS_MAX = 4;
/** New connections in a row, and each second: an agent reconnects twice a second at most. */
const ACCEPTS_BURST = 20;
const ACCEPTS_PER_S = 4;
/** Two batches wait for an agent that reads slowly; then it is sent nothing more. */
const UNREAD_BYTES_MAX = 2 * 1024 * 1024;
/** More than what may be sent at once beyond that: then it does not read at all. */
const UNREAD_BYTES_END = 16 * 1024 * 1024;

/** Listens when it resolves. Throws `feed.unusable`. */
export async function serveFeed(options: FeedServerOptions): Promise<FeedServer> {
  const { path, clock, logger } = options;
  const { monotonicMs } = clock;
  const budget = createWorkBudget(monotonicMs);
  const accepts = createBucket({
    burst: ACCEPTS_BURST,
    perMs: ACCEPTS_PER_S / 1_000,
    monotonicMs,
  });
  let current: Connection | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // What goes wrong with a socket is its close.
    socket.on("error", () => undefined);
    if (!accepts.take()) {
      socket.destroy();
      return;
    }
    const busy = current !== null;
    if (busy) {
      refuse(socket, "feed.busy", "another agent is connected to the feed");
      return;
    }
    const own = new Connection(socket, options, budget);
    current = own;
    logger.debug("agent connected to the feed");
    socket.once("close", () => {
      if (current === own) current = null;
      logger.debug("agent disconnected from the feed");
      void own.close();
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  const address = await listen(server, path);
  const timer = setInterval(() => current?.tick(), TICK_MS);
  return {
    notify: () => current?.pump(),
    async close() {
      // What was written last, that the daemon stops, goes out where the line is quick.
      const untilMs = monotonicMs() + LAST_WORDS_MS;
      while (current?.isDone() === false && monotonicMs() < untilMs) {
        current.pump();
        await sleep(TICK_MS);
      }
      clearInterval(timer);
      const closed = new Promise((done) => server.close(done));
      for (const socket of sockets) socket.destroy();
      await current?.close();
      await closed;
      address.close();
    },
  };
}

/** The agent's connection and its session. */
class Connection {
  readonly #socket: Socket;
  readonly #session: FeedSession;
  readonly #options: FeedServerOptions;
  readonly #budget: ReturnType<typeof createWorkBudget>;
  readonly #frames = new FrameReader(UP_BYTES_MAX);
  #heardMs: number;
  #greeted = false;
  #closed = false;

  constructor(
    socket: Socket,
    options: FeedServerOptions,
    budget: ReturnType<typeof createWorkBudget>,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#budget = budget;
    this.#heardMs = options.clock.monotonicMs();
    this.#session = new FeedSession(options, {
      send: (frame: DownFrame, body) => {
        if (this.#closed) return;
        // What it is sent without having asked for it is bounded as well.
        if (socket.writableLength > UNREAD_BYTES_END) socket.destroy();
        else socket.write(encodeFrame(frame, body));
      },
      keepsUp: () => socket.writableLength < UNREAD_BYTES_MAX,
    });
    socket.on("data", (chunk: Buffer) => this.#work(() => this.#receive(chunk)));
    socket.on("drain", () => this.pump());
  }

  isDone(): boolean {
    return this.#session.isDone();
  }

  pump(): void {
    // Over its budget the agent waits for the next tick.
    if (this.#budget.waitMs() === 0) this.#work(() => this.#session.pump());
  }

  tick(): void {
    const quietMs = this.#options.clock.monotonicMs() - this.#heardMs;
    if (quietMs > (this.#greeted ? QUIET_MAX_MS : HELLO_TIMEOUT_MS)) {
      this.#end("feed.quiet", "the agent says nothing any more");
    } else if (this.#budget.waitMs() === 0) {
      this.#socket.resume();
      this.#work(() => this.#session.tick());
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#session.close();
  }

  #receive(chunk: Buffer): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    for (const frame of this.#frames.push(chunk)) {
      this.#session.take(frame);
      this.#greeted = true;
    }
    // What it sends meanwhile waits in its own socket.
    if (this.#budget.waitMs() > 0) this.#socket.pause();
  }

  #work(work: () => void): void {
    if (this.#closed) return;
    const startedMs = this.#options.clock.monotonicMs();
    try {
      work();
    } catch (error) {
      if (!(error instanceof PorchlightError) || error.remedy !== "reject") throw error;
      this.#options.logger.warn("agent disconnected: malformed frame", {
        reason: messageOf(error),
      });
      this.#end("feed.malformed", error.message);
    } finally {
      this.#budget.charge(this.#options.clock.monotonicMs() - startedMs);
    }
  }

  #end(code: string, message: string): void {
    refuse(this.#socket, code, message);
    this.#socket.destroySoon();
  }
}

function refuse(socket: Socket, code: string, message: string): void {
  socket.end(encodeFrame({ type: "refused", code, message: plainLine(message) }));
  socket.resume();
  setTimeout(() => socket.destroy(), HELLO_TIMEOUT_MS).unref();
}

/** Gives back what is to be released once the server is closed. */
async function listen(server: Server, path: string): Promise<SocketPath> {
  try {
    // On an installed device tmpfiles.d has made it, for the agent's group.
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(path, { force: true });
    const short = socketPath(path);
    await new Promise<void>((done, failed) => {
      server.once("error", failed);
      server.listen(short.path, () => {
        server.off("error", failed);
        done();
      });
    });
    chmodSync(path, SOCKET_MODE);
    return short;
  } catch (cause) {
    throw new PorchlightError("feed.unusable", `no feed at ${path}: ${messageOf(cause)}`, {
      remedy: "retry",
      hint: "name another place with sync.feed: porchlight config schema",
      cause,
    });
  }
}
