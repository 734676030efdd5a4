/** The sync agent: reconnects with back-off, and runs the uplink while a session lasts. */
import type { Clock } from "../../shared/core/clock.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { backoffMs, pause } from "../../shared/core/retry.ts";
import { isNetworkDown } from "./link.ts";
import { runSession, type SessionOptions } from "./session.ts";
import type { AgentStatus } from "./status.ts";

export interface AgentOptions extends Omit<SessionOptions, "answered" | "statusPublished"> {
  readonly clock: Clock;
  /** Even in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly report: (status: Omit<AgentStatus, "atMs" | "pid">) => void;
}

/** Back-off for a broker that refuses: a whole fleet may be retrying with us. */
const BACKOFF = { firstMs: 500, maxMs: 60_000 };
/** Back-off without a network: an attempt costs nothing, and 5 s after its return we are back. */
const BACKOFF_OFFLINE = { firstMs: 500, maxMs: 4_000 };
/** Failures in a row that are logged one by one; then each that doubles their number. */
const LOGGED_EACH = 8;

/**
 * Runs until the signal is aborted, or everything is acked where that is asked for. Trouble with
 * the connection never ends it, unless it is asked to end and only a person can help; else only a
 * broken store or a programmer error throws.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, random, report, uplink, uploads } = options;
  let attempt = 0;
  const reportState = (status: Pick<AgentStatus, "state"> & Partial<AgentStatus>): void => {
    report({ ...uplink.status(), retryAtMs: null, reason: null, ...status });
  };
  const session = {
    ...options,
    // A session is good once the centre has answered in it, not when a broker has let us in.
    answered() {
      attempt = 0;
    },
    statusPublished: () => reportState({ state: "connected" }),
  };
  try {
    while (!signal.aborted) {
      reportState({ state: "connecting" });
      try {
        await runSession(session, signal);
        break;
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof PorchlightError) || !error.code.startsWith("sync.")) throw error;
        const { code, hint, message, remedy } = error;
        if (options.untilAcked && remedy === "stop") {
          reportState({ state: "stopped", reason: message });
          throw error;
        }
        const limits = isNetworkDown(error) ? BACKOFF_OFFLINE : BACKOFF;
        const waitMs = backoffMs(attempt++, { ...limits, random });
        // A broker that is away for weeks, or a copy of this device that ends each session.
        const loud = attempt <= LOGGED_EACH || Number.isInteger(Math.log2(attempt));
        logger[loud ? "warn" : "debug"](message, { code, hint, attempt, retryInMs: waitMs });
        reportState({ state: "waiting", reason: message, retryAtMs: clock.now() + waitMs });
        await pause(waitMs, signal);
      }
    }
  } finally {
    await uploads.stop();
  }
  reportState({ state: "stopped" });
}
