/**
 * What the owner has released to the site (`sync.release`): the daemon, who has the keys, wraps them
 * for the site and hands them over; the agent can send no others and open none.
 *
 *     vault: the keys ──► wrapped ──► log.db: released ──► agent
 *
 * The vault says which keys there are, the configuration which of them go: what was handed over
 * follows both, so a key that was destroyed or is released no longer is taken back.
 */
import type { PersonalClass } from "../../shared/log/entry.ts";
import { siteIdOf } from "../../shared/log/site-key.ts";
import { wrapKey } from "../../shared/log/wrap.ts";
import type { HandedOver, KeyName, KeyOutbox } from "../log/key-outbox.ts";
import { type Database, dataVersion } from "../sqlite/database.ts";
import type { Keyring } from "../vault/keyring.ts";
import type { PlacedSiteKey } from "../vault/site-key.ts";

export interface ReleasePolicy {
  readonly device: string;
  readonly classes: readonly PersonalClass[];
  /** The site's public key; null before it has joined: then nothing is released. */
  readonly site: PlacedSiteKey | null;
}

export interface ReleaseStep {
  readonly handedOver: number;
  readonly revoked: number;
  /** Whether there is more to do at once. */
  readonly more: boolean;
}

export interface Release {
  /** One bounded step; cheap when nothing has changed. */
  step(policy: ReleasePolicy): Promise<ReleaseStep>;
}

export interface ReleaseParts {
  readonly vault: Database;
  readonly keyring: Pick<Keyring, "names" | "export" | "changes">;
  readonly rows: KeyOutbox;
}

/** Wrapping takes about a millisecond each, and frames wait for it. */
const STEP_KEYS = 20;
/** Keys that wait for the agent: what is beyond them waits in the vault, where it is anyway. */
export const WAITING_KEYS_MAX = 1_000;
const NOTHING: ReleaseStep = { handedOver: 0, revoked: 0, more: false };

export function createRelease({ vault, keyring, rows }: ReleaseParts): Release {
  /** All was done then; or as much as the agent had room for. */
  let seen = "";
  let full = "";
  const wrapped = async (
    { device }: ReleasePolicy,
    site: Buffer,
    names: readonly KeyName[],
  ): Promise<readonly HandedOver[]> => {
    const all: HandedOver[] = [];
    for (const name of names) {
      const key = keyring.export(name.subject, name.class);
      if (key === null) continue;
      all.push({
        ...name,
        site: siteIdOf(site),
        wrapped: await wrapKey(site, { device, ...name }, key),
      });
    }
    return all;
  };
  // Whoever erases needs the vault first: a key that is still there when this begins is taken back
  // by them, and one that is gone does not get in.
  const handOver = vault.transaction((keys: readonly HandedOver[]) => {
    rows.handOver(keys.filter(({ subject, class: of }) => keyring.export(subject, of) !== null));
  });
  return {
    async step(policy) {
      const { classes } = policy;
      const site = policy.site?.key ?? null;
      // Keys that were made or destroyed by others, and here.
      const versions = [dataVersion(vault), keyring.changes()];
      const place = [site?.toString("base64"), policy.site?.placedAtMs];
      const now = [...versions, ...place, ...classes].join(" ");
      if (now === seen) return NOTHING;
      const room = Math.max(0, WAITING_KEYS_MAX - rows.waiting());
      if (now === full && room === 0) return NOTHING;
      const { gone, missing } = difference(rows, site === null ? [] : keyring.names(classes), site);
      const back = gone.slice(0, STEP_KEYS);
      if (back.length > 0) rows.revoke(back);
      const next = missing.slice(0, Math.min(STEP_KEYS, room));
      if (site !== null && next.length > 0) {
        handOver.immediate(await wrapped(policy, site, next));
      }
      const more = gone.length > back.length || (missing.length > next.length && room > STEP_KEYS);
      if (!more && missing.length === next.length) seen = now;
      else if (!more) full = now;
      return { handedOver: next.length, revoked: back.length, more };
    },
  };
}

/** What was handed over and should not be, and what should be and was not. */
function difference(rows: KeyOutbox, wanted: readonly KeyName[], site: Buffer | null) {
  const siteId = site === null ? null : siteIdOf(site);
  const known = new Map(rows.all().map((row) => [nameOf(row), row]));
  const names = new Set(wanted.map(nameOf));
  return {
    gone: [...known.values()].filter((row) => row.site !== null && !names.has(nameOf(row))),
    missing: wanted.filter((name) => (known.get(nameOf(name))?.site ?? null) !== siteId),
  };
}

function nameOf({ subject, class: of }: KeyName): string {
  return `${subject} ${of}`;
}
