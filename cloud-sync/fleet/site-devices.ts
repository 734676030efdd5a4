/** Which devices are registered here: on a broker that several sites use, others are heard too. */
import type { Logger } from "../../shared/core/logger.ts";
import { createRecentMap } from "../fairness/recent-map.ts";
import type { Database } from "../postgres/database.ts";

export interface SiteDevices {
  /** A device that was revoked is none of ours any more. */
  isOurs(device: string): Promise<boolean>;
}

export interface SiteDevicesOptions {
  readonly database: Pick<Database, "query">;
  readonly monotonicMs: () => number;
  readonly logger: Logger;
}

const REGISTERED = "SELECT FROM devices WHERE device = $1 AND revoked_at IS NULL";
/** A device that was added, or revoked, is known as such after this long. */
const KNOWN_MS = 5_000;
const REMEMBERED_MAX = 100_000;
const TOLD_EVERY_MS = 3_600_000;

export function createSiteDevices(options: SiteDevicesOptions): SiteDevices {
  const { database, monotonicMs, logger } = options;
  const remembered = createRecentMap<{ ours: boolean; atMs: number }>(REMEMBERED_MAX);
  let toldMs = Number.NEGATIVE_INFINITY;
  const look = async (device: string): Promise<boolean> => {
    const ours = (await database.query(REGISTERED, [device])).length > 0;
    remembered.set(device, { ours, atMs: monotonicMs() });
    return ours;
  };
  const tell = (): void => {
    if (monotonicMs() - toldMs < TOLD_EVERY_MS) return;
    toldMs = monotonicMs();
    logger.warn("messages of a device that is not registered here are left alone", {
      hint: "another site's on the same broker; if it is to be ours: porchlight-cloud devices add ID --out BUNDLE",
    });
  };
  return {
    async isOurs(device) {
      const before = remembered.get(device, () => ({ ours: false, atMs: -KNOWN_MS }));
      const fresh = monotonicMs() - before.atMs < KNOWN_MS;
      // While the database is away, what was known holds.
      const ours = fresh
        ? before.ours
        : await look(device).catch((error: unknown) => {
            if (before.ours) return true;
            throw error;
          });
      if (!ours) tell();
      return ours;
    },
  };
}
