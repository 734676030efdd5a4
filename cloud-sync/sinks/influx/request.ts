/** One HTTP request and its whole answer. Node's fetch cannot be told an authority. */
import { once } from "node:events";
import { type IncomingHttpHeaders, Agent as PlainAgent, request as requestPlain } from "node:http";
import { request as requestTls, Agent as TlsAgent } from "node:https";
import { rootCertificates } from "node:tls";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most ANSWER_BYTES_MAX of it. */
  readonly text: string;
}

export interface RequestOptions {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** A query of a month by hours is some hundred KiB. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

export function isGood({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

/** A redirection is an answer, too, and is not followed. */
export function createRequest(ca: string | undefined) {
  const plain = new PlainAgent({ keepAlive: true });
  const trusted = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  const tls = new TlsAgent({ keepAlive: true, ...trusted });
  return async (url: string, options: RequestOptions, body?: Uint8Array): Promise<Answer> => {
    const request = url.startsWith("https:")
      ? requestTls(url, { ...options, agent: tls })
      : requestPlain(url, { ...options, agent: plain });
    // What goes wrong after the answer has begun ends the reading of it.
    request.on("error", () => undefined);
    const answered = once(request, "response");
    request.end(body);
    const [response] = await answered;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) throw new Error("the answer is too long");
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString("utf8");
    return { status: Number(response.statusCode), headers: response.headers, text };
  };
}
