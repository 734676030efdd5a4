/** Keys that devices release to this centre: who takes them in, and who opens with them. */
import type { Logger } from "../../shared/core/logger.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import type { Topic } from "../../shared/protocol/wire.ts";
import type { CloudConfig } from "../config/schema.ts";
import type { Database } from "../postgres/database.ts";
import { createKeyring, type Keyring, type OpenPersonal } from "./keyring.ts";
import { createKeyReceiver, type KeyReceiver } from "./receive-keys.ts";
import { openSiteKey } from "./site-key.ts";

export interface KeyringParts {
  readonly config: CloudConfig;
  readonly database: Database;
  readonly publish: (topic: Topic, payload: Buffer) => void;
  readonly logger: Logger;
}

const SITE_DIGITS = 16;

/** Throws `site.key.unusable` or `site.key.other`. */
export async function openKeyring({ config, database, publish, logger }: KeyringParts): Promise<{
  readonly keyring: Keyring;
  readonly released: KeyReceiver;
  /** Names this site among others: the beginning of its key's fingerprint. */
  readonly site: string;
  /** What the sinks are given: to open something, where this instance has the site's key. */
  readonly opening: { readonly keyring: Keyring; readonly openPersonal?: OpenPersonal };
}> {
  const pair = await openSiteKey(config, database);
  const site = fingerprintOf(pair.publicKey).replaceAll(" ", "").slice(0, SITE_DIGITS);
  const keyring = createKeyring({ database, site: pair });
  const released = createKeyReceiver({ keyring, site: pair, publish, logger });
  if (pair.privateKey === null) {
    logger.warn("site key missing: released content stays sealed on this instance", {
      hint: "copy the file from the machine where the centre first ran: site.key in porchlight-cloud config schema",
    });
    return { keyring, released, site, opening: { keyring } };
  }
  return { keyring, released, site, opening: { keyring, openPersonal: keyring.open } };
}
