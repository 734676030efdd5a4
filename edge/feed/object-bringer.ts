/** Has the agent upload sealed objects: it has the network, the daemon has the log that names them. */
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Peer } from "./session.ts";
import type { BringObject } from "./uploads.ts";

export interface ObjectBringer {
  readonly bring: BringObject;
  /** The agent's word; about an object that it was not asked for it changes nothing. */
  done(sha256: string, status: number | null): void;
  failed(sha256: string, reason: string): void;
  close(): void;
}

interface Waiting {
  resolve(status: number | null): void;
  reject(error: PorchlightError): void;
}

/** Longer than the agent takes for one (edge/sync/put.ts). */
const ANSWER_TIMEOUT_MS = 150_000;

export function createObjectBringer(peer: Pick<Peer, "send">): ObjectBringer {
  const waiting = new Map<string, Waiting>();
  return {
    bring: ({ sha256, url, headers }, signal) =>
      new Promise<number | null>((resolve, reject) => {
        const settle = (end: () => void): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", stop);
          waiting.delete(sha256);
          end();
        };
        const stop = (): void => settle(() => reject(uploadFailed("the agent has gone")));
        const timer = setTimeout(
          () => settle(() => reject(uploadFailed("the agent gave no answer"))),
          ANSWER_TIMEOUT_MS,
        );
        signal.addEventListener("abort", stop, { once: true });
        waiting.set(sha256, {
          resolve: (status) => settle(() => resolve(status)),
          reject: (error) => settle(() => reject(error)),
        });
        peer.send({ type: "put", sha256, url, headers });
      }),
    done: (sha256, status) => waiting.get(sha256)?.resolve(status),
    failed: (sha256, reason) => waiting.get(sha256)?.reject(uploadFailed(reason)),
    close() {
      for (const each of waiting.values()) each.reject(uploadFailed("the agent has gone"));
    },
  };
}

function uploadFailed(reason: string): PorchlightError {
  return new PorchlightError("upload.failed", `an upload failed: ${reason}`, {
    remedy: "retry",
    hint: "check the network: porchlight sync status",
  });
}
