/** An HTTP server of the centre: uploads, or health and metrics. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import { createBoundary } from "../../shared/core/boundary.ts";
import { invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { HTTP_PER_ADDRESS_MAX } from "../fairness/limits.ts";
import { addressOf } from "../fairness/unauthenticated.ts";
import { isLoopback } from "../host/addresses.ts";
import type { ServerIdentity } from "../host/certificate-authority.ts";

/** Answers a request to one path. Throws what is a mistake of ours: the client gets a 500. */
export type Route = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface ApiOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Needed unless the host is loopback. */
  readonly tls: Pick<ServerIdentity, "certificate" | "key"> | null;
  /** By method and path: `GET /metrics`. A path that ends in / stands for all below it. */
  readonly routes: Readonly<Record<string, Route>>;
  readonly logger: Logger;
  /** Of its port, for the hint where it cannot listen. */
  readonly setting?: "http.port" | "http.metrics.port";
}

export interface Api {
  /** Listens. Throws `http.address` where that is not possible. */
  start(): Promise<void>;
  /** `http://127.0.0.1:8480`, once it listens. */
  url(): string;
  /** New connections get this certificate. Throws where it is none. */
  renew(tls: NonNullable<ApiOptions["tls"]>): void;
  /** Ends what is under way within a second. Safe to call twice. */
  stop(): Promise<void>;
  /** Requests that failed by a mistake of ours, and connections beyond the limit of an address. */
  stats(): { readonly failed: number; readonly refused: number };
}

const CONNECTIONS_MAX = 1_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Node looks every 30 s: until then, a client that sends no headers has a connection. */
const LOOK_EVERY_MS = 2_000;
/** An upload of a clip over a slow line. */
const REQUEST_TIMEOUT_MS = 300_000;
const STOP_MS = 1_000;

export function createApi(options: ApiOptions): Api {
  const { host, port, tls, routes, logger, setting = "http.port" } = options;
  invariant(
    tls !== null || isLoopback(host),
    "without TLS, only loopback connections are accepted",
  );
  const boundary = createBoundary("HTTP request", logger);
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void boundary.eachAsync(null, async () => {
      try {
        await respond(routes, request, response);
      } catch (error) {
        if (!response.headersSent) response.writeHead(500, { connection: "close" });
        response.end();
        throw error;
      }
    });
  };
  const server: Server =
    tls === null
      ? createServer({ connectionsCheckingInterval: LOOK_EVERY_MS }, answer)
      : createTlsServer(
          {
            cert: tls.certificate,
            key: tls.key,
            handshakeTimeout: HEADERS_TIMEOUT_MS,
            connectionsCheckingInterval: LOOK_EVERY_MS,
          },
          answer,
        );
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  const connections = limitByAddress(server);
  let stopped: Promise<void> | undefined;
  return {
    start: () =>
      new Promise((done, failed) => {
        server.once("error", (cause) => failed(unusable({ host, port, setting }, cause)));
        server.listen({ host, port }, done);
      }),
    url() {
      const address = server.address();
      invariant(
        typeof address === "object" && address !== null,
        "a server that listens has a port",
      );
      const name = host.includes(":") ? `[${host}]` : host;
      return `${tls === null ? "http" : "https"}://${name}:${address.port}`;
    },
    renew({ certificate, key }) {
      if (server instanceof TlsServer) server.setSecureContext({ cert: certificate, key });
    },
    stop() {
      stopped ??= end(server);
      return stopped;
    },
    stats: () => ({ failed: boundary.failures(), refused: connections.refused() }),
  };
}

/** The path that was asked for, as it stands: no URL, so that nothing of it can be wrong. */
export function pathOf({ url = "/" }: Pick<IncomingMessage, "url">): string {
  return url.split("?", 1)[0] ?? "/";
}

async function respond(
  routes: ApiOptions["routes"],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = `${request.method} ${pathOf(request)}`;
  const below = Object.keys(routes).find((key) => key.endsWith("/") && path.startsWith(key));
  const key = Object.hasOwn(routes, path) ? path : below;
  const route = key === undefined ? undefined : routes[key];
  if (route === undefined) response.writeHead(404).end("there is nothing here\n");
  else await route(request, response);
}

function limitByAddress(server: Server): { readonly refused: () => number } {
  const open = new Map<string, number>();
  let refused = 0;
  // Of a TLS server too: this is the TCP connection, before its handshake.
  server.on("connection", (socket: Socket) => {
    const address = addressOf(socket);
    const count = (open.get(address) ?? 0) + 1;
    if (count > HTTP_PER_ADDRESS_MAX) {
      refused++;
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once("close", () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
  return { refused: () => refused };
}

async function end(server: Server): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), STOP_MS);
  await closed;
  clearTimeout(cut);
}

function unusable(
  { host, port, setting }: { host: string; port: number; setting: string },
  cause: Error,
): PorchlightError {
  return new PorchlightError("http.address", `cannot listen on ${host}:${port}`, {
    hint: `choose another ${setting}: porchlight-cloud config schema`,
    cause,
  });
}
