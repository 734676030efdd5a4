/**
 * Gets a bundle for a pairing code. The certificate is compared with the code before the code is
 * shown: whoever stands between gets nothing of it.
 */
import { request } from "node:http";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import {
  PAIRING_PATH,
  pairingAnswerSchema,
  pinOf,
  pinsAreEqual,
  readCode,
} from "../../shared/protocol/pairing.ts";

export interface PairOptions {
  readonly code: string;
  /** host:port of the centre. */
  readonly at: string;
  /** The id of this device; null where it has none yet. */
  readonly device: string | null;
}

const TIMEOUT_MS = 20_000;
const ANSWER_BYTES_MAX = 1024 * 1024;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Throws `pairing.code`, `.address`, `.unreachable`, `.certificate`, `.refused` or `.wait`. */
export async function redeemCode(options: PairOptions, signal: AbortSignal): Promise<Bundle> {
  const { code, device } = options;
  const { pin } = readCode(code);
  const url = addressOf(options.at, pin === "loopback");
  const ending = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const socket = await connected(url, pin, ending);
  try {
    const { status, text } = await post(url, socket, JSON.stringify({ code, device }), ending);
    if (status === 200) return pairingAnswerSchema.parse(JSON.parse(text)).bundle;
    throw refusal(status, url.host);
  } catch (error) {
    throw error instanceof PorchlightError ? error : unreachable(url.host, error);
  } finally {
    socket.destroy();
  }
}

function addressOf(at: string, loopback: boolean): URL {
  const text = `${loopback ? "http" : "https"}://${at}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && url.host !== "" && url.pathname === "/" && url.username === "") {
    if (!loopback || LOOPBACK.test(url.hostname)) return url;
  }
  throw new PorchlightError("pairing.address", `${at} is no address of a centre`, {
    exitCode: 64,
    hint: "as the centre prints it: --at HOST:PORT",
  });
}

/** A connection whose other end is the one that the code was made by. */
async function connected(
  { hostname, port }: URL,
  pin: ReturnType<typeof readCode>["pin"],
  signal: AbortSignal,
): Promise<Socket> {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (pin === "loopback") {
    return await opened(connectPlain({ host, port: Number(port || 80) }), "connect", host, signal);
  }
  // Its certificate is compared by us, whoever has signed it; a proxy's is for the system to judge.
  const trusted = pin === "system";
  const servername = /^[\d.]+$|:/.test(host) ? "" : host;
  const options = { host, port: Number(port || 443), servername, rejectUnauthorized: trusted };
  const socket = connectTls(options);
  await opened(socket, "secureConnect", host, signal);
  if (trusted || pinsAreEqual(pin, pinOf(socket.getPeerCertificate().raw))) return socket;
  socket.destroy();
  throw new PorchlightError("pairing.certificate", `${host} is not the centre that made the code`, {
    hint: "is the address right, and nobody between? the code was not shown; make another: porchlight-cloud devices add NAME --code",
  });
}

function opened<S extends Socket>(
  socket: S,
  event: "connect" | "secureConnect",
  host: string,
  signal: AbortSignal,
): Promise<S> {
  return new Promise((done, failed) => {
    const stop = (): void => void socket.destroy(new Error("no answer in time"));
    signal.addEventListener("abort", stop, { once: true });
    socket.once(event, () => {
      signal.removeEventListener("abort", stop);
      done(socket);
    });
    socket.on("error", (cause) => failed(unreachable(host, cause)));
  });
}

function post(
  url: URL,
  socket: Socket,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((done, failed) => {
    const headers = {
      host: url.host,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      connection: "close",
    };
    const options = { method: "POST", path: PAIRING_PATH, headers, signal };
    const asked = request({ ...options, createConnection: () => socket }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) response.destroy(new Error("the answer is too long"));
      });
      response.once("end", () => done({ status: response.statusCode ?? 0, text }));
      response.once("error", failed);
    });
    asked.once("error", failed);
    asked.end(body);
  });
}

function unreachable(host: string, cause: unknown): PorchlightError {
  const text = `no answer from ${host}: ${messageOf(cause)}`;
  return new PorchlightError("pairing.unreachable", text, {
    remedy: "retry",
    hint: "does the centre run there, with http.host open to the network? porchlight-cloud status",
    cause,
  });
}

function refusal(status: number, host: string): PorchlightError {
  if (status === 429) {
    return new PorchlightError("pairing.wait", `${host} has had many codes from here`, {
      remedy: "retry",
      hint: "wait a minute, and type it again",
    });
  }
  if (status === 404) {
    return new PorchlightError("pairing.refused", `${host} does not know this code, or no longer`, {
      hint: "a code is good once, for 15 minutes; make another: porchlight-cloud devices add NAME --code",
    });
  }
  return new PorchlightError("pairing.refused", `${host} answers ${status}: that is no centre`, {
    hint: "the address that the centre prints: porchlight-cloud devices add NAME --code",
  });
}
