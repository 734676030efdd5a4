/** Uploads one sealed object to the URL of a grant, and requests nothing else there. */
import { lookup } from "node:dns";
import { once } from "node:events";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { rootCertificates } from "node:tls";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";

export interface PutTarget {
  /** Checked where it came in: https, or this machine. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PutAnswer {
  readonly status: number;
  /** S3's word for a refusal ("RequestTimeTooSkewed"); null where there is none. */
  readonly code: string | null;
}

export type Put = (target: PutTarget, body: Buffer, signal: AbortSignal) => Promise<PutAnswer>;

export interface PutOptions {
  /** Of the centre, trusted beside the authorities that this program knows. */
  readonly ca: string | undefined;
  /** Whether the centre is this machine: else nothing on it is ever asked for. */
  readonly local: boolean;
}

/** 8 MiB at 560 kbit/s; the grant is good for longer. */
const PUT_TIMEOUT_MS = 120_000;
/** What an upload needs: whoever answers a request must not choose what else is said in it. */
const HEADERS =
  /^(content-(length|type|md5)|if-none-match|x-amz-[a-z0-9-]+|x-porchlight-[a-z0-9-]+)$/;
/** This machine, and what is configured by itself beside it (RFC 1122, 3927, 4291). */
const OWN = new BlockList();
OWN.addSubnet("0.0.0.0", 8);
OWN.addSubnet("127.0.0.0", 8);
OWN.addSubnet("169.254.0.0", 16);
OWN.addAddress("::", "ipv6");
OWN.addAddress("::1", "ipv6");
OWN.addSubnet("fe80::", 10, "ipv6");

/**
 * What the answer says; a redirection is one too, and is not followed. Throws `upload.failed`
 * (remedy `retry`) where none comes, `upload.refused` where the grant names what no upload needs.
 * Node's fetch could not be told the authority.
 */
export function createPut({ ca, local }: PutOptions): Put {
  const authorities = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  return async ({ url, headers }, body, signal) => {
    checkTarget({ url, headers }, local);
    const ending = AbortSignal.any([signal, AbortSignal.timeout(PUT_TIMEOUT_MS)]);
    const lookup = local ? {} : { lookup: lookupElsewhere };
    const options = { method: "PUT", headers, signal: ending, agent: false, ...lookup };
    try {
      const request = url.startsWith("https:")
        ? requestTls(url, { ...options, ...authorities })
        : requestPlain(url, options);
      // What goes wrong after the answer changes nothing any more.
      request.on("error", () => undefined);
      const answered = once(request, "response");
      request.end(body);
      const [response] = await answered;
      const status = Number(response.statusCode);
      const code = status >= 400 ? await codeOf(response) : null;
      response.destroy();
      return { status, code };
    } catch (cause) {
      throw new PorchlightError("upload.failed", `an upload failed: ${messageOf(cause)}`, {
        remedy: "retry",
        hint: "check the network: porchlight sync status",
        cause,
      });
    }
  };
}

/** A refusal is some hundred bytes of XML; nothing else of it is read. */
const REFUSAL_BYTES_MAX = 4_096;

async function codeOf(response: AsyncIterable<Buffer>): Promise<string | null> {
  let text = "";
  try {
    for await (const chunk of response) {
      text += chunk.toString("latin1");
      if (text.length > REFUSAL_BYTES_MAX) break;
    }
  } catch {
    return null; // it was cut short: the status is known
  }
  return /<Code>([A-Za-z]{1,64})<\/Code>/.exec(text)?.[1] ?? null;
}

/** Whoever is the broker may send a grant: it leads to no service of this machine. */
function checkTarget({ url, headers }: PutTarget, local: boolean): void {
  const { protocol, hostname, username, password } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const odd = Object.keys(headers).find((name) => !HEADERS.test(name));
  if (odd !== undefined) throw refused(`the header ${odd}`);
  if (username !== "" || password !== "") throw refused("a user in its address");
  if (local) return;
  if (protocol !== "https:") throw refused("a connection without TLS");
  if (isIP(host) !== 0 && isOwn(host)) throw refused("an address of this machine");
}

/** Whether a broker at this address is on this machine. */
export function isLocal(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  return host === "localhost" || (isIP(host) !== 0 && isOwn(host));
}

/** A name may lead here as well. */
const lookupElsewhere: LookupFunction = (name, options, done) => {
  lookup(name, { ...options, all: true }, (error, addresses) => {
    if (error !== null) done(error, "", 4);
    else if (addresses.some(({ address }) => isOwn(address))) {
      done(refused("an address of this machine"), "", 4);
    } else if (options.all) done(null, addresses);
    else done(null, addresses[0]?.address ?? "", addresses[0]?.family);
  });
};

function isOwn(address: string): boolean {
  return OWN.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function refused(what: string): PorchlightError {
  return new PorchlightError("upload.refused", `the centre granted an upload with ${what}`, {
    remedy: "reject",
    hint: "see whether somebody else answers in its place: porchlight-cloud status",
  });
}
