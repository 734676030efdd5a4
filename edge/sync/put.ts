/** Uploads one sealed object to the URL of a grant, and requests nothing else there. */
import { once } from "node:events";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { rootCertificates } from "node:tls";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";

export interface PutTarget {
  /** Checked where it came in: https, or this machine. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Put = (target: PutTarget, body: Buffer, signal: AbortSignal) => Promise<number>;

/** 8 MiB at 560 kbit/s; the grant is good for longer. */
const PUT_TIMEOUT_MS = 120_000;

/**
 * The status of the answer; a redirection is one too, and is not followed. Throws `upload.failed`
 * (remedy `retry`) where none comes. `ca`: of the centre, trusted beside the authorities that this
 * program knows, since the place may be another's. Node's fetch could not be told it.
 */
export function createPut({ ca }: { readonly ca: string | undefined }): Put {
  const authorities = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  return async ({ url, headers }, body, signal) => {
    const ending = AbortSignal.any([signal, AbortSignal.timeout(PUT_TIMEOUT_MS)]);
    const options = { method: "PUT", headers, signal: ending, agent: false };
    try {
      const request = url.startsWith("https:")
        ? requestTls(url, { ...options, ...authorities })
        : requestPlain(url, options);
      // What goes wrong after the answer changes nothing any more.
      request.on("error", () => undefined);
      const answered = once(request, "response");
      request.end(body);
      const [response] = await answered;
      // The body of the answer is not read.
      response.destroy();
      return Number(response.statusCode);
    } catch (cause) {
      throw new PorchlightError("upload.failed", `an upload failed: ${messageOf(cause)}`, {
        remedy: "retry",
        hint: "check the network: porchlight sync status",
        cause,
      });
    }
  };
}
