/** Relays the newest frames of a network camera to every client of a Unix socket, as MJPEG. */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import type { Frame } from "../camera/frame.ts";

export interface RelayParts {
  readonly frames: AsyncIterable<Frame>;
  readonly socketPath: string;
  /** Called once, when listeners can connect. */
  readonly listening: () => void;
}

/** The daemon, and a person who looks: a limit, not a service to the house. */
const LISTENERS_MAX = 4;

/** Runs until the frames end. A slow client misses frames and delays no other. */
export async function relayFrames({ frames, socketPath, listening }: RelayParts): Promise<void> {
  const listeners = new Set<Socket>();
  const server = createServer((socket) => {
    listeners.add(socket);
    // A listener says nothing: what it sends is thrown away, so that its end is seen.
    socket.resume();
    socket.on("error", () => undefined).on("close", () => listeners.delete(socket));
  });
  server.maxConnections = LISTENERS_MAX;
  // What a killed relay left behind would be "address in use".
  rmSync(socketPath, { force: true });
  await new Promise<void>((done, failed) => {
    server.once("error", failed).listen(socketPath, done);
  });
  chmodSync(socketPath, 0o660);
  listening();
  try {
    for await (const { image } of frames) {
      for (const socket of listeners) if (socket.writableLength === 0) socket.write(image);
    }
  } finally {
    for (const socket of listeners) socket.destroy();
    await new Promise<void>((done) => server.close(() => done()));
  }
}
