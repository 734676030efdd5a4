import { generateKeyPairSync } from "node:crypto";
import type { ReleaseStep } from "../../edge/store/key-release.ts";
import type { Store } from "../../edge/store/open-store.ts";
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
