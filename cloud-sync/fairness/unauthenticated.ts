/**
 * Connections that have not proved who they are: limited for each address and in all. Beyond that
 * the oldest makes room: one that means well has proved itself in milliseconds.
 */
import type { Socket } from "node:net";
import { UNAUTHENTICATED_MAX, UNAUTHENTICATED_PER_ADDRESS_MAX } from "./limits.ts";

export interface Unauthenticated {
  /** A connection has come. */
  add(socket: Socket): void;
  /** It has proved itself. */
  remove(socket: Socket): void;
  endAll(): void;
  /** Connections that were ended to make room. */
  ended(): number;
}

export function createUnauthenticated(): Unauthenticated {
  // In the order in which they came.
  const sockets = new Map<string, Socket>();
  const byAddress = new Map<string, Set<string>>();
  let ended = 0;
  const forget = (key: string, address: string): void => {
    sockets.delete(key);
    const own = byAddress.get(address);
    own?.delete(key);
    if (own?.size === 0) byAddress.delete(address);
  };
  const endOldest = (keys: Iterable<string>): void => {
    for (const key of keys) {
      ended++;
      sockets.get(key)?.destroy();
      return;
    }
  };
  return {
    add(socket) {
      const [key, address] = [keyOf(socket), addressOf(socket)];
      const own = byAddress.get(address) ?? new Set();
      byAddress.set(address, own);
      sockets.set(key, socket);
      own.add(key);
      socket.once("close", () => forget(key, address));
      if (own.size > UNAUTHENTICATED_PER_ADDRESS_MAX) {
        const [oldest = key] = own;
        endOldest([oldest]);
        forget(oldest, address);
      } else if (sockets.size > UNAUTHENTICATED_MAX) endOldest([...sockets.keys()].slice(0, 1));
    },
    remove: (socket) => forget(keyOf(socket), addressOf(socket)),
    endAll() {
      for (const socket of [...sockets.values()]) socket.destroy();
    },
    ended: () => ended,
  };
}

/** The same of a TLS socket and of the TCP socket under it. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

export function addressOf({ remoteAddress = "" }: Pick<Socket, "remoteAddress">): string {
  return remoteAddress.replace(/^::ffff:/, "");
}
