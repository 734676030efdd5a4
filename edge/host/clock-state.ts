import { existsSync } from "node:fs";
import type { Entry } from "../../shared/log/entry.ts";

/**
 * Files whose presence says that the wall clock was set from the network since boot:
 * systemd-timesyncd(8) and chrony's wait-sync unit (Debian) leave them.
 */
const SYNC_MARKERS = ["/run/systemd/timesync/synchronized", "/run/chrony-wait/synchronized"];

/** No doorbell of this software existed before 2026: an earlier clock has not been set. */
const EARLIEST_BELIEVABLE_MS = Date.UTC(2026, 0, 1);

/** `trust` is for machines with a battery clock, or kept in time by something we don't know. */
export type ClockPolicy = "detect" | "trust";

export function clockState(policy: ClockPolicy, nowMs: number): Entry["clock"] {
  if (nowMs < EARLIEST_BELIEVABLE_MS) return "unsynced";
  return policy === "trust" || SYNC_MARKERS.some((marker) => existsSync(marker))
    ? "synced"
    : "unsynced";
}
