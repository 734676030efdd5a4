import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FileServer {
  readonly url: string;
  /** What was asked for, in order: "/file" or "/file bytes=10-". */
  readonly requests: string[];
  close(): Promise<void>;
}

export type Answer = (
  content: Buffer,
  response: ServerResponse,
  request: IncomingMessage,
  /** Which request of this server it is, from 1. */
  turn: number,
) => void;

/** A real HTTP server for these files; `answer` may do with a request what it wants. */
export async function serveFiles(
  files: Readonly<Record<string, Buffer>>,
  answer: Answer = withRanges,
): Promise<FileServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const { range } = request.headers;
    requests.push(range === undefined ? `${request.url}` : `${request.url} ${range}`);
    const content = files[(request.url ?? "").split("?")[0]?.split("/").at(-1) ?? ""];
    if (content) answer(content, response, request, requests.length);
    else response.writeHead(404).end();
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo; // a TCP server has no other
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close() {
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

/** As a good server answers, also to "the rest from byte N on". */
export function withRanges(content: Buffer, response: ServerResponse, request: IncomingMessage) {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const rest = content.subarray(start);
  const range = `bytes ${start}-${content.length - 1}/${content.length}`;
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": rest.length,
    ...(start > 0 && { "content-range": range }),
  });
  response.end(rest);
}
