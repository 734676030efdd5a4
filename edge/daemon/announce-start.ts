import { appliedOf } from "../config/options.ts";
import type { DeviceConfig } from "../config/schema.ts";
import type { Store } from "../store/open-store.ts";
import type { PackIdentity } from "../vision/pack.ts";

export interface AnnounceParts {
  readonly store: Pick<Store, "append" | "latest" | "visits">;
  readonly config: () => DeviceConfig;
  readonly version: string;
  readonly boot: string;
}

/** Facts of what changed since the daemon last ran; what did not change is not appended again. */
export function announceStart(
  { store, config, version, boot }: AnnounceParts,
  pack: PackIdentity,
): void {
  const { name, version: packVersion, models } = pack;
  const actor = "device";
  const applied = appliedOf(config());
  const active = store.latest.of("model.activated")?.data;
  const samePack =
    active?.name === name &&
    active.version === packVersion &&
    JSON.stringify(active.models) === JSON.stringify(models);
  store.append([
    {
      type: "daemon.started",
      actor,
      data: { version, boot, pack: { name, version: packVersion } },
    },
  ]);
  endInterrupted(store);
  if (store.latest.of("config.applied")?.data.sha256 !== applied.sha256) {
    store.append([{ type: "config.applied", actor, data: applied }]);
  }
  if (!samePack) {
    const data = { name, version: packVersion, models: [...models] };
    store.append([{ type: "model.activated", actor, data }]);
  }
}

/** Visits that the last run could not end: power was lost, or it was killed. */
function endInterrupted(store: AnnounceParts["store"]): void {
  for (const { id, outcome } of store.visits.open()) {
    const data = {
      visit: id,
      reason: "interrupted",
      durationMs: null,
      frames: null,
      outcome: outcome ?? "unusable",
    } as const;
    store.append([{ type: "visit.ended", actor: "device", data }]);
  }
}
