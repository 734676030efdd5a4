import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands in front of a server, so that it can be gone for a while without being stopped. */
export interface Proxy {
  readonly port: number;
  /** Connections break, and new ones are refused. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  stop(): Promise<void>;
}

export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const accept = (from: Socket): void => {
    const to = connect(target, "127.0.0.1");
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  };
  const listen = async (port: number): Promise<Server> => {
    const server = createServer(accept).listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  let server: Server | null = await listen(0);
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("a TCP server has a port");
  const cut = async (): Promise<void> => {
    const open = server;
    server = null;
    if (open === null) return;
    const closed = once(open, "close");
    open.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    port: address.port,
    cut,
    async mend() {
      server ??= await listen(address.port);
    },
    stop: cut,
  };
}
