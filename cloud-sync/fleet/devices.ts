/** The devices of this centre, and what each proves itself by. */
import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { Database } from "../postgres/database.ts";
import { mosquittoHash } from "./mosquitto-passwords.ts";

export interface RegisteredDevice {
  readonly device: string;
  readonly addedAt: Date;
  /** Of its password, or of the end of it. */
  readonly changedAt: Date;
  readonly revokedAt: Date | null;
}

export interface Devices {
  /** Registers a device, and makes its password. Throws `device.exists`. */
  add(device: string): Promise<string>;
  /** Makes a new password; the old one is good no longer. Throws `device.unknown`. */
  rotate(device: string): Promise<string>;
  /** Revokes its access. Throws `device.unknown`. */
  revoke(device: string): Promise<void>;
  /** Oldest first. */
  list(): Promise<readonly RegisteredDevice[]>;
  /** When this password of the device was made; null when it is not good, or no longer. */
  verify(device: string, password: string): Promise<Date | null>;
  /** Whether this password was good before, here; it may have been taken away since. */
  isKnown(device: string, password: string): boolean;
  /** The registered devices, as a Mosquitto password file has them. */
  mosquittoUsers(): Promise<readonly { readonly user: string; readonly hash: string }[]>;
  /** Those whose password has changed since a moment, in that order. */
  changedSince(moment: Date): Promise<readonly Changed[]>;
}

export interface Changed {
  readonly device: string;
  readonly at: Date;
}

const PASSWORD_BYTES = 32;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Node's own: 16 MB and 50 ms (RFC 7914). The password has 256 bits; this is for the day it leaks. */
const SCRYPT = { N: 16_384, r: 8, p: 1 } as const;
/**
 * Devices reconnect at once after a broker's restart: a password that was verified need not cost 50
 * ms.
 */
const KNOWN_MAX = 10_000;

const ADD = `INSERT INTO devices (device, password_hash, salt, mosquitto_hash)
  VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING device`;
const ROTATE = `UPDATE devices SET password_hash = $2, salt = $3, mosquitto_hash = $4,
  changed_at = now(), revoked_at = NULL WHERE device = $1 RETURNING device`;
const MOSQUITTO = `SELECT device AS user, mosquitto_hash AS hash FROM devices
  WHERE revoked_at IS NULL AND mosquitto_hash IS NOT NULL ORDER BY device`;
const REVOKE = `UPDATE devices SET revoked_at = coalesce(revoked_at, now()), changed_at = now()
  WHERE device = $1 RETURNING device`;
const LIST =
  "SELECT device, added_at, changed_at, revoked_at FROM devices ORDER BY added_at, device";
const SECRET = `SELECT password_hash AS hash, salt, changed_at AS at FROM devices
  WHERE device = $1 AND revoked_at IS NULL`;
const CHANGED =
  "SELECT device, changed_at AS at FROM devices WHERE changed_at > $1 ORDER BY changed_at";

const deviceRows = z.array(
  z
    .object({
      device: z.string(),
      added_at: z.date(),
      changed_at: z.date(),
      revoked_at: z.date().nullable(),
    })
    .transform(
      ({ device, added_at: addedAt, changed_at: changedAt, revoked_at: revokedAt }) =>
        ({ device, addedAt, changedAt, revokedAt }) satisfies RegisteredDevice,
    ),
);
const secretRows = z.array(
  z.object({ hash: z.instanceof(Buffer), salt: z.instanceof(Buffer), at: z.date() }),
);
const userRows = z.array(z.object({ user: z.string(), hash: z.string() }));
const changedRows = z.array(z.object({ device: z.string(), at: z.date() }));
const uuid = z.uuid().lowercase();

export function createDevices(database: Database): Devices {
  /** Passwords that were found good, under the salt they were found good with. */
  const known = new Map<string, { readonly salt: Buffer; readonly seen: string }>();
  const secretOf = async (device: string) =>
    secretRows.parse(await database.query(SECRET, [device]))[0];
  const write = async (statement: string, device: string): Promise<string | null> => {
    const password = randomBytes(PASSWORD_BYTES).toString("base64url");
    const salt = randomBytes(SALT_BYTES);
    const hashes = [await hashOf(password, salt), salt, await mosquittoHash(password)];
    const rows = await database.query(statement, [device, ...hashes]);
    return rows.length === 1 ? password : null;
  };
  return {
    async add(device) {
      const password = await write(ADD, checked(device));
      if (password !== null) return password;
      throw new PorchlightError("device.exists", `device ${device} is registered already`, {
        hint: `give it a new password: porchlight-cloud devices rotate ${device} --out BUNDLE`,
      });
    },
    async rotate(device) {
      const password = await write(ROTATE, checked(device));
      if (password === null) throw unknown(device);
      return password;
    },
    async revoke(device) {
      const rows = await database.query(REVOKE, [checked(device)]);
      if (rows.length === 0) throw unknown(device);
    },
    list: async () => deviceRows.parse(await database.query(LIST)),
    async verify(device, password) {
      if (!uuid.safeParse(device).success) return null;
      const secret = await secretOf(device);
      if (secret === undefined) return null;
      const seen = digestOf(password, secret.salt);
      if (known.get(device)?.seen === seen) return secret.at;
      const good = timingSafeEqual(await hashOf(password, secret.salt), secret.hash);
      if (!good) return null;
      // It took its time: it may have been revoked, or have another password, meanwhile.
      const now = await secretOf(device);
      if (now === undefined || !now.hash.equals(secret.hash)) return null;
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(device, { salt: secret.salt, seen });
      return now.at;
    },
    isKnown(device, password) {
      const before = known.get(device);
      return before !== undefined && digestOf(password, before.salt) === before.seen;
    },
    mosquittoUsers: async () => userRows.parse(await database.query(MOSQUITTO)),
    changedSince: async (moment) => changedRows.parse(await database.query(CHANGED, [moment])),
  };
}

function hashOf(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((done, failed) => {
    scrypt(password, salt, HASH_BYTES, SCRYPT, (error, hash) => {
      if (error === null) done(hash);
      else failed(error);
    });
  });
}

function digestOf(password: string, salt: Buffer): string {
  return createHash("sha256").update(salt).update(password).digest("base64");
}

function checked(device: string): string {
  if (uuid.safeParse(device).success) return device;
  throw new PorchlightError("device.id", `${JSON.stringify(device)} is no device's id`, {
    exitCode: EXIT.usage,
    hint: "an id is a UUID in lowercase; see it on the device: porchlight status",
  });
}

function unknown(device: string): PorchlightError {
  return new PorchlightError("device.unknown", `device ${device} is not registered`, {
    exitCode: EXIT.notFound,
    hint: "see which are: porchlight-cloud devices list",
  });
}
