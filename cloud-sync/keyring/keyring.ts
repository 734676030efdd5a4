/**
 * Released keys of this site, stored apart from the log and wrapped as they came. Only an instance
 * that has the site's private key can open them.
 */

import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { PERSONAL_CLASSES, type PersonalClass } from "../../shared/log/entry.ts";
import { type SealPlace, unseal } from "../../shared/log/seal.ts";
import { siteIdOf } from "../../shared/log/site-key.ts";
import { unwrapKey } from "../../shared/log/wrap.ts";
import type { KeysMessage } from "../../shared/protocol/wire.ts";
import type { Connection, Database } from "../postgres/database.ts";
import { LOCK_KEYS } from "./lock.ts";
import type { SiteKey } from "./site-key.ts";

export type ReleasedKey = KeysMessage["keys"][number];

/** A subject of whose keys one has come, was taken back or is gone. */
export interface KeyChange {
  readonly device: string;
  readonly subject: string;
  readonly held: boolean;
  /** In the order of commits. */
  readonly changed: bigint;
}

export interface KeyCount {
  readonly device: string;
  readonly class: PersonalClass;
  readonly held: number;
}

export interface SubjectOfDevice {
  readonly device: string;
  readonly subject: string;
}

/** A visit that a device has linked to a person. */
export interface VisitLink {
  readonly device: string;
  readonly person: string;
  readonly visit: string;
}

/** Opens what is sealed there; null when its key was not released, or is gone. */
export type OpenPersonal = (place: SealPlace, sealed: string) => Promise<Buffer | null>;

export interface Keyring {
  /**
   * Stores released and revoked keys of a device in one commit. An older message than the last, and
   * keys of erased subjects, change nothing. False when there are too many of this device.
   */
  keep(device: string, site: string, keys: readonly ReleasedKey[]): Promise<boolean>;
  /**
   * Destroys the keys of erased subjects for good, and of the visits that are linked to them: none
   * of theirs is accepted again. Within the caller's transaction.
   */
  erase(connection: Connection, subjects: readonly SubjectOfDevice[]): Promise<void>;
  /** Links visits to people: those of somebody who is erased already are erased at once. */
  link(connection: Connection, links: readonly VisitLink[]): Promise<void>;
  /** Destroys the keys of a device. It does not send them again by itself. */
  forget(device: string): Promise<number>;
  /** Opens what is sealed there by the key of the device whose log it is; null without that key. */
  open(place: SealPlace, sealed: string): Promise<Buffer | null>;
  /** What has changed since, of one class. */
  changes(
    personalClass: PersonalClass,
    after: bigint,
    limit: number,
  ): Promise<readonly KeyChange[]>;
  count(): Promise<readonly KeyCount[]>;
}

export interface KeyringOptions {
  readonly database: Pick<Database, "query" | "transaction">;
  /** Null where nothing is to be opened. */
  readonly site: SiteKey | null;
}

/** A door where fifty strangers ring a day has as many after ten years. */
const KEYS_PER_DEVICE_MAX = 500_000;
/** Devices whose rows are counted once: 1 MB. */
const COUNTED_MAX = 10_000;
/** Counting half a million rows takes 100 ms: a device that is full is counted again after this. */
const COUNT_EVERY_MS = 60_000;

interface Held {
  readonly count: number;
  readonly againMs: number;
}

const HELD = "SELECT count(*) AS count FROM released_keys WHERE device = $1";
/** $7: whether there is room for rows. Without it, keys that are here are taken back all the same. */
const KEEP = `INSERT INTO released_keys AS old
    (device, subject, class, number, site, wrapped, changed)
  SELECT $1, subject, class, number, $2, wrapped, nextval('released_keys_changes')
  FROM unnest($3::uuid[], $4::text[], $5::bigint[], $6::bytea[])
    AS row (subject, class, number, wrapped)
  WHERE ($7 OR EXISTS (
    SELECT FROM released_keys here WHERE here.device = $1 AND here.subject = row.subject
      AND here.class = row.class))
    AND NOT EXISTS (
    SELECT FROM erased_subjects gone WHERE gone.device = $1 AND gone.subject = row.subject)
  ON CONFLICT (device, subject, class) DO UPDATE SET number = excluded.number,
    site = excluded.site, wrapped = excluded.wrapped, changed = excluded.changed
  WHERE old.number < excluded.number`;
const LINK = `INSERT INTO visit_people (device, person, visit)
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING`;
/** Those links ($1, $2, $3) whose person is erased. */
const ERASED_LINKS = `SELECT DISTINCT link.device, link.visit AS subject
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS link (device, person, visit)
  JOIN erased_subjects gone ON gone.device = link.device AND gone.subject = link.person`;
/** These subjects, and the visits that are linked to them. */
const ERASE = `WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given (device, subject)),
  gone AS (
    SELECT device, subject FROM given
    UNION SELECT link.device, link.visit FROM visit_people link
    JOIN given ON link.device = given.device AND link.person = given.subject),
  destroyed AS (
    DELETE FROM released_keys USING gone
    WHERE released_keys.device = gone.device AND released_keys.subject = gone.subject)
  INSERT INTO erased_subjects SELECT device, subject FROM gone ON CONFLICT DO NOTHING`;
const FORGET = `UPDATE released_keys SET wrapped = NULL, changed = nextval('released_keys_changes')
  WHERE device = $1 AND wrapped IS NOT NULL RETURNING subject`;
const WRAPPED = `SELECT device, wrapped FROM released_keys JOIN logs USING (device)
  WHERE logs.log = $1 AND subject = $2 AND class = $3 AND site = $4 AND wrapped IS NOT NULL`;
const CHANGES = `SELECT device, subject, wrapped IS NOT NULL AS held, changed FROM released_keys
  WHERE class = $1 AND changed > $2 ORDER BY changed LIMIT $3`;
const COUNT = `SELECT device, class, count(*) AS held FROM released_keys
  WHERE wrapped IS NOT NULL GROUP BY device, class ORDER BY device, class`;

const countRow = z.tuple([z.object({ count: z.bigint() })]);
const wrappedRows = z.array(z.object({ device: z.string(), wrapped: z.instanceof(Buffer) }));
const changeRows = z.array(
  z.object({ device: z.string(), subject: z.string(), held: z.boolean(), changed: z.bigint() }),
);
const subjectRows = z.array(z.object({ device: z.string(), subject: z.string() }));
const countRows = z.array(
  z.object({
    device: z.string(),
    class: z.enum(PERSONAL_CLASSES),
    held: z.bigint().transform(Number),
  }),
);

export function createKeyring({ database, site }: KeyringOptions): Keyring {
  /** Rows of a device, at most: counted once, and again where that would be too many. */
  const held = new Map<string, Held>();
  /** Whether there is no room for so many more rows of a device, which are counted from now on. */
  const isFull = async (connection: Connection, device: string, more: number) => {
    const tooMany = ({ count }: Held): boolean => count + more > KEYS_PER_DEVICE_MAX;
    let rows = held.get(device);
    if (rows === undefined || (tooMany(rows) && performance.now() > rows.againMs)) {
      rows = await countHeld(connection, device);
    }
    const full = tooMany(rows);
    if (held.size >= COUNTED_MAX) held.clear();
    held.set(device, full ? rows : { ...rows, count: rows.count + more });
    return full;
  };
  const alone = <T>(work: (connection: Connection) => Promise<T>): Promise<T> =>
    database.transaction(async (connection) => {
      await connection.query(LOCK_KEYS);
      return await work(connection);
    });
  const erase: Keyring["erase"] = async (connection, subjects) => {
    await connection.query(LOCK_KEYS);
    await connection.query(ERASE, [
      subjects.map(({ device }) => device),
      subjects.map(({ subject }) => subject),
    ]);
  };
  return {
    keep: (device, wrappedFor, keys) =>
      alone(async (connection) => {
        const full = await isFull(connection, device, keys.length);
        // Without room for a key, there is none whose old message could come after this one.
        if (full && keys.some(({ wrapped }) => wrapped !== null)) return false;
        await connection.query(KEEP, [
          device,
          Buffer.from(wrappedFor, "hex"),
          keys.map(({ subject }) => subject),
          keys.map((key) => key.class),
          keys.map(({ number }) => number),
          keys.map(({ wrapped }) => (wrapped === null ? null : Buffer.from(wrapped, "base64"))),
          !full,
        ]);
        return true;
      }),
    erase,
    async link(connection, links) {
      await connection.query(LOCK_KEYS);
      const columns = [
        links.map(({ device }) => device),
        links.map(({ person }) => person),
        links.map(({ visit }) => visit),
      ];
      await connection.query(LINK, columns);
      const gone = subjectRows.parse(await connection.query(ERASED_LINKS, columns));
      if (gone.length > 0) await erase(connection, gone);
    },
    forget: (device) =>
      alone(async (connection) => (await connection.query(FORGET, [device])).length),
    async open(place, sealed) {
      if (site === null || site.privateKey === null) return null;
      const { privateKey, publicKey } = site;
      const siteId = Buffer.from(siteIdOf(publicKey), "hex");
      const { log, subject, class: personalClass } = place;
      const rows = await database.query(WRAPPED, [log, subject, personalClass, siteId]);
      const [found] = wrappedRows.parse(rows);
      if (found === undefined) return null;
      const { device, wrapped } = found;
      const key = await opened(privateKey, { device, subject, class: personalClass }, wrapped);
      return key === null ? null : unseal(key, place, sealed);
    },
    changes: async (personalClass, after, limit) =>
      changeRows.parse(await database.query(CHANGES, [personalClass, after, limit])),
    count: async () => countRows.parse(await database.query(COUNT)),
  };
}

async function countHeld(connection: Connection, device: string): Promise<Held> {
  const [{ count }] = countRow.parse(await connection.query(HELD, [device]));
  return { count: Number(count), againMs: performance.now() + COUNT_EVERY_MS };
}

/** A key that does not open counts as absent: its device was refused, or will be. */
async function opened(...wrapped: Parameters<typeof unwrapKey>): Promise<Buffer | null> {
  try {
    return await unwrapKey(...wrapped);
  } catch (error) {
    if (error instanceof PorchlightError && error.code === "wrap.broken") return null;
    throw error;
  }
}
