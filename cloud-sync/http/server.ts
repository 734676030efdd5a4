/** The centre's HTTP server: health, metrics and uploads. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { invariant, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
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
}

export interface Api {
  /** Listens. Throws `http.address` where that is not possible. */
  start(): Promise<void>;
  /** `http://127.0.0.1:8480`, once it listens. */
  url(): string;
  /** Ends what is under way within a second. */
  stop(): Promise<void>;
}

const CONNECTIONS_MAX = 1_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** An upload of a clip over a slow line. */
const REQUEST_TIMEOUT_MS = 300_000;
const STOP_MS = 1_000;

export function createApi(options: ApiOptions): Api {
  const { host, port, tls, routes, logger } = options;
  invariant(
    tls !== null || isLoopback(host),
    "without TLS, only loopback connections are accepted",
  );
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const route = routeOf(routes, request);
    if (route === null) {
      response.writeHead(404).end("there is nothing here\n");
      return;
    }
    route(request, response).catch((error: unknown) => {
      logger.error("HTTP request failed", { reason: messageOf(error) });
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  };
  const server: Server =
    tls === null
      ? createServer(answer)
      : createTlsServer({ cert: tls.certificate, key: tls.key }, answer);
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  return {
    start: () =>
      new Promise((done, failed) => {
        server.once("error", (cause) => failed(unusable(host, port, cause)));
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
    async stop() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), STOP_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}

function routeOf(routes: ApiOptions["routes"], { method, url = "/" }: IncomingMessage) {
  const { pathname } = new URL(url, "http://centre");
  const exact = routes[`${method} ${pathname}`];
  if (exact !== undefined) return exact;
  const below = Object.keys(routes).find(
    (key) => key.endsWith("/") && `${method} ${pathname}`.startsWith(key),
  );
  return below === undefined ? null : (routes[below] ?? null);
}

function unusable(host: string, port: number, cause: Error): PorchlightError {
  return new PorchlightError("http.address", `cannot listen on ${host}:${port}`, {
    hint: "choose another http.port: porchlight-cloud config schema",
    cause,
  });
}
