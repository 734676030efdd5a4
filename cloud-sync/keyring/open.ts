/** Keys that devices release to this centre: who takes them in, and who opens with them. */
import type { Logger } from "../../shared/core/logger.ts";
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

/** Throws `site.key.unusable` or `site.key.other`. */
export async function openKeyring({ config, database, publish, logger }: KeyringParts): Promise<{
  readonly keyring: Keyring;
  readonly released: KeyReceiver;
  /** What the sinks are given: to open something, where this instance has the site's key. */
  readonly opening: { readonly keyring: Keyring; readonly openPersonal?: OpenPersonal };
}> {
  const site = await openSiteKey(config, database);
  const keyring = createKeyring({ database, site });
  const released = createKeyReceiver({ keyring, site, publish, logger });
  if (site.privateKey === null) {
    logger.warn("site key missing: released content stays sealed on this instance", {
      hint: "copy the file from the machine where the centre first ran: site.key in porchlight-cloud config schema",
    });
    return { keyring, released, opening: { keyring } };
  }
  return { keyring, released, opening: { keyring, openPersonal: keyring.open } };
}
