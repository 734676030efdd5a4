import { generateKeyPairSync } from "node:crypto";
import { createKeyOutbox } from "../../edge/log/key-outbox.ts";
import type { Database } from "../../edge/sqlite/database.ts";
import type { ReleaseStep } from "../../edge/store/key-release.ts";
import type { Store } from "../../edge/store/open-store.ts";
import { createReleasedKeys, type ReleasedKeys } from "../../edge/sync/released-keys.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { PersonalClass } from "../../shared/log/entry.ts";
import { type SitePair, sitePairOf } from "../../shared/log/site-key.ts";

/** A site with a key of its own. */
export function newSite(): SitePair {
  const { privateKey } = generateKeyPairSync("x25519");
  return sitePairOf(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
}

/** As the daemon does: hands over what is released to this site, and takes back the rest. */
export async function release(
  { release: releasing }: Pick<Store, "release">,
  device: string,
  classes: readonly PersonalClass[],
  publicKey: Buffer | null,
  placedAtMs = 0,
): Promise<Omit<ReleaseStep, "more">> {
  const site = publicKey === null ? null : { key: publicKey, placedAtMs };
  const total = { handedOver: 0, revoked: 0 };
  for (let more = true; more; ) {
    const step = await releasing.step({ device, classes, site });
    total.handedOver += step.handedOver;
    total.revoked += step.revoked;
    more = step.more;
  }
  return total;
}

/** The released keys of a device, as its agent tells them. */
export function keysOf(
  database: Database,
  { clock = systemClock, logger = silentLogger } = {},
): ReleasedKeys {
  const rows = createKeyOutbox(database, clock);
  return createReleasedKeys({ rows, clock, random: Math.random, logger });
}
