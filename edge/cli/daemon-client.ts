/** What a command asks of the running daemon, through its owner's socket. */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { z } from "zod";
import { createMjpegSplitter } from "../camera/mjpeg.ts";
import { ownerSocketPath } from "../config/paths.ts";
import type { DeviceConfig } from "../config/schema.ts";

const stateSchema = z.object({
  camera: z.string(),
  // A replay has no state.
  state: z.enum(["starting", "watching", "lost", "frozen"]).optional(),
  sinceMs: z.number().optional(),
  reason: z.string().nullable().optional(),
  lastFrameAtMs: z.number().nullable().optional(),
});
export type DaemonCamera = z.infer<typeof stateSchema>;

/** The daemon answers from memory. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Null where no daemon runs, or not as a user whose socket this one may open. */
async function connect(config: DeviceConfig, request: string): Promise<Socket | null> {
  const socket = createConnection(ownerSocketPath(config));
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  } catch {
    // ENOENT, ECONNREFUSED or EACCES: nobody answers there.
    socket.destroy();
    return null;
  }
  socket.on("error", () => undefined);
  socket.write(`${request}\n`);
  return socket;
}

/** What the daemon says of its camera; null where none runs. */
export async function daemonCamera(config: DeviceConfig): Promise<DaemonCamera | null> {
  const socket = await connect(config, "state");
  if (socket === null) return null;
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += String(chunk);
  return text === "" ? null : stateSchema.parse(JSON.parse(text));
}

/** The frames that the daemon sees from now on; null where none runs. */
export async function daemonFrames(
  config: DeviceConfig,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer> | null> {
  const socket = await connect(config, "frames");
  return socket === null ? null : splitFrames(socket, signal);
}

async function* splitFrames(socket: Socket, signal: AbortSignal): AsyncGenerator<Buffer> {
  const splitter = createMjpegSplitter();
  const leave = (): void => void socket.destroy();
  signal.addEventListener("abort", leave, { once: true });
  try {
    for await (const chunk of socket) yield* splitter.push(Buffer.from(chunk));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", leave);
    socket.destroy();
  }
}
