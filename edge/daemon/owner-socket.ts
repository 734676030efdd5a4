/*
 * The owner's socket: what commands ask of the daemon that holds the camera. A Unix socket that its
 * user alone may open. One line comes in, and the connection is for that:
 *
 *     state\n     ► one line of JSON: {"camera":"front-door","state":"watching",…}, the end
 *     frames\n    ► the newest frames, JPEG after JPEG, until the client leaves
 *
 * Anything else ends the connection.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Camera } from "../camera/frame.ts";

export interface OwnerSocket {
  /** A frame as the daemon saw it: turned, and under its masks. */
  frame(image: Buffer): void;
  close(): Promise<void>;
}

export interface OwnerSocketParts {
  readonly path: string;
  readonly camera: Pick<Camera, "name" | "state">;
  readonly logger: Logger;
}

/** An owner types one command at a time. */
const CLIENTS_MAX = 4;
const REQUEST_BYTES_MAX = 64;
const REQUEST_TIMEOUT_MS = 2_000;

/** A socket that cannot be made is told, and the door is watched all the same. */
export async function openOwnerSocket(parts: OwnerSocketParts): Promise<OwnerSocket> {
  const { path, camera, logger } = parts;
  const clients = new Set<Socket>();
  const watching = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket
      .on("error", () => undefined)
      .on("close", () => {
        clients.delete(socket);
        watching.delete(socket);
      });
    receiveRequest(socket, (request) => {
      if (request === "frames") watching.add(socket);
      else if (request === "state") {
        socket.end(`${JSON.stringify({ camera: camera.name, ...camera.state?.() })}\n`);
      } else socket.destroy();
    });
  });
  server.maxConnections = CLIENTS_MAX;
  try {
    await listen(server, path);
  } catch (error) {
    logger.warn("no socket for the owner's commands", { reason: messageOf(error) });
  }
  return {
    frame(image) {
      // A slow client misses frames.
      for (const socket of watching) if (socket.writableLength === 0) socket.write(image);
    },
    async close() {
      for (const socket of clients) socket.destroy();
      if (!server.listening) return;
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function receiveRequest(socket: Socket, asked: (request: string) => void): void {
  let text = "";
  let answered = false;
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => {
    if (!answered) socket.destroy();
  });
  socket.setEncoding("latin1").on("data", (chunk) => {
    // What follows a request is thrown away, so that the client's end is seen.
    if (answered) return;
    text += chunk;
    const end = text.indexOf("\n");
    if (end === -1 && text.length <= REQUEST_BYTES_MAX) return;
    answered = true;
    asked(end === -1 ? "" : text.slice(0, end));
  });
}

async function listen(server: Server, path: string): Promise<void> {
  // What a killed daemon left behind would be "address in use".
  rmSync(path, { force: true });
  await new Promise<void>((done, failed) => {
    server.once("error", failed).listen(path, done);
  });
  chmodSync(path, 0o600);
}
