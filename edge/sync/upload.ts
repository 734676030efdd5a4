/** Brings a sealed object where the daemon says that the centre wants it. */
import { messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { plainLine } from "../../shared/core/printable.ts";
import type { DownFrame } from "../../shared/protocol/feed.ts";
import type { FeedClient } from "./feed-client.ts";
import type { Put } from "./put.ts";

export interface BringParts {
  /** Sealed objects, by the SHA-256 of their bytes; null when they are there no longer. */
  readonly objects: { read(sha256: string): Buffer | null };
  readonly put: Put;
  readonly feed: Pick<FeedClient, "send">;
  readonly logger: Logger;
}

/** What S3 calls them. */
const REFUSALS: Readonly<Record<string, string>> = {
  RequestTimeTooSkewed: "the clocks of the centre and of the object store differ",
  AccessDenied: "the grant has expired, or the clocks of centre and object store differ",
  SignatureDoesNotMatch: "does a proxy change the host or the path? see objects.publicUrl",
};

/** Says how it went: the daemon decides what follows. */
export async function bring(
  { sha256, url, headers }: Extract<DownFrame, { type: "put" }>,
  { objects, put, feed, logger }: BringParts,
  signal: AbortSignal,
): Promise<void> {
  try {
    const body = objects.read(sha256);
    const answer = body === null ? null : await put({ url, headers }, body, signal);
    if (answer?.code != null) {
      const hint = REFUSALS[answer.code] ?? "look into its log";
      logger.warn("the object store refused an upload", { ...answer, hint });
    }
    feed.send({ type: "put.done", sha256, status: answer?.status ?? null });
  } catch (error) {
    feed.send({ type: "put.failed", sha256, reason: plainLine(messageOf(error)) });
  }
}
