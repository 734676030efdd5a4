/** The certificate that is served, as its files change: renewed by us, by certbot, by hand. */

import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { createBoundary } from "../../shared/core/boundary.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import type { Identity } from "./tls-identity.ts";

export interface ServedIdentity {
  /** Looks at the files again; connections from then on get what is there. It does not throw. */
  reload(): Promise<void>;
  /** The same every minute, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Seconds until the certificate runs out, negative once it has; null where none is served. */
  expiresInS(): number | null;
}

export interface ServedIdentityOptions {
  readonly served: Identity | null;
  /** Reads the files, and makes what is ours and runs out. */
  readonly open: () => Promise<Identity | null>;
  readonly renew: (identity: Identity) => void;
  readonly now: () => number;
  readonly logger: Logger;
}

const LOOK_EVERY_MS = 60_000;
const DAY_MS = 86_400_000;
/** Renewal of certificates that live for 90 days begins 30 days before (Let's Encrypt). */
const WARN_BEFORE_MS = 30 * DAY_MS;

export function createServedIdentity(options: ServedIdentityOptions): ServedIdentity {
  const { open, renew, now, logger } = options;
  const boundary = createBoundary("certificate", logger);
  let served = options.served;
  let warnedMs = Number.NEGATIVE_INFINITY;
  const endsMs = (): number | null =>
    served === null ? null : Date.parse(new X509Certificate(served.certificate).validTo);
  const warn = (): void => {
    const ends = endsMs();
    if (ends === null || ends - now() > WARN_BEFORE_MS || now() - warnedMs < DAY_MS) return;
    warnedMs = now();
    logger.warn("the certificate runs out", {
      expires: new Date(ends).toISOString(),
      hint: "renew the file of tls.certificate: it is taken up by itself, or by SIGHUP at once",
    });
  };
  const reload = async (): Promise<void> => {
    await boundary.eachAsync(null, async () => {
      const found = await open();
      if (found !== null && !isSame(found, served)) {
        // One that cannot be used is refused before any server has it.
        createSecureContext({ cert: found.certificate, key: found.key });
        renew(found);
        served = found;
        warnedMs = Number.NEGATIVE_INFINITY;
        logger.info("another certificate is served", {
          expires: new Date(endsMs() ?? 0).toISOString(),
        });
      }
      warn();
    });
  };
  return {
    reload,
    async run(signal) {
      for (warn(); !signal.aborted; await reload()) await pause(LOOK_EVERY_MS, signal);
    },
    expiresInS() {
      const ends = endsMs();
      return ends === null ? null : (ends - now()) / 1_000;
    },
  };
}

function isSame(a: Identity, b: Identity | null): boolean {
  return a.certificate === b?.certificate && a.key === b.key;
}
