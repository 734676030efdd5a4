import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { basename, dirname } from "node:path";

/** sockaddr_un holds 108 bytes with the last zero: unix(7). */
const PATH_BYTES_MAX = 107;

export interface SocketPath {
  /** To listen on or connect to; good until `close`. */
  readonly path: string;
  close(): void;
}

/** A path of any length as a socket takes it: a long one by way of its folder's descriptor. */
export function socketPath(path: string): SocketPath {
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, close: () => undefined };
  const folder = openSync(dirname(path), "r");
  return {
    path: `/proc/self/fd/${folder}/${basename(path)}`,
    close: () => closeSync(folder),
  };
}

/** A connection under way; where there is no folder its error says so, as where there is no socket. */
export function connectSocket(path: string): Socket {
  try {
    const short = socketPath(path);
    const socket = connect(short.path);
    socket.once("close", short.close);
    return socket;
  } catch {
    return connect(path);
  }
}
