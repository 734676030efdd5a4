/** Ends the sessions of devices whose password was changed or taken away, also by another process. */
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import type { Devices } from "./devices.ts";

export interface WatchOptions {
  readonly devices: Pick<Devices, "changedSince">;
  /** Ends the sessions of a device that authenticated with a password older than this moment. */
  readonly disconnect: (device: string, before: Date) => void;
  readonly logger: Logger;
}

/** As long as a device that was revoked may still speak. */
const LOOK_EVERY_MS = 1_000;
/**
 * A change becomes visible later than its timestamp says: changes since so long ago are read again.
 */
const OVERLAP_MS = 60_000;

/** Until the signal is aborted. */
export async function watchDevices(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const { devices, disconnect, logger } = options;
  const seen = new Map<string, number>();
  let since = new Date(0);
  for (; !signal.aborted; await pause(LOOK_EVERY_MS, signal)) {
    try {
      const changes = await devices.changedSince(since);
      for (const { device, at } of changes) {
        if (seen.get(device) !== at.getTime()) disconnect(device, at);
        seen.set(device, at.getTime());
      }
      const last = changes.at(-1)?.at.getTime() ?? 0;
      since = new Date(Math.max(since.getTime(), last - OVERLAP_MS));
      for (const [device, at] of seen) if (at <= since.getTime()) seen.delete(device);
    } catch (error) {
      if (!(error instanceof PorchlightError) || error.remedy !== "retry") throw error;
      logger.warn("device revocations not checked: database unavailable", { code: error.code });
    }
  }
}
