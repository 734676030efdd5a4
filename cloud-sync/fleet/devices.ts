/** The devices of this centre, and what each proves itself by. */
import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { Database } from "../postgres/database.ts";
import { mosquittoHash } from "./mosquitto-passwords.ts";

export interface RegisteredDevice {
  readonly device: string;
  /** What people call its door. */
  readonly name: string | null;
  readonly addedAt: Date;
  /** Of its password, or of the end of it. */
  readonly changedAt: Date;
  readonly revokedAt: Date | null;
}

export interface Devices {
  /** Registers a device, and makes its password. Throws `device.exists`, `device.name.taken`. */
  add(device: string, name?: string | null): Promise<string>;
  /** The device that is called so, or has this id. Throws `device.unknown`. */
  find(nameOrId: string): Promise<string>;
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

const ADD = `INSERT INTO devices (device, password_hash, salt, mosquitto_hash, name)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING device`;
const FIND = "SELECT device FROM devices WHERE lower(name) = lower($1)";
const ROTATE = `UPDATE devices SET password_hash = $2, salt = $3, mosquitto_hash = $4,
  changed_at = now(), revoked_at = NULL WHERE device = $1 RETURNING device`;
const MOSQUITTO = `SELECT device AS user, mosquitto_hash AS hash FROM devices
  WHERE revoked_at IS NULL AND mosquitto_hash IS NOT NULL ORDER BY device`;
const REVOKE = `UPDATE devices SET revoked_at = coalesce(revoked_at, now()), changed_at = now()
  WHERE device = $1 RETURNING device`;
const LIST =
  "SELECT device, name, added_at, changed_at, revoked_at FROM devices ORDER BY added_at, device";
const SECRET = `SELECT password_hash AS hash, salt, changed_at AS at FROM devices
  WHERE device = $1 AND revoked_at IS NULL`;
const CHANGED =
  "SELECT device, changed_at AS at FROM devices WHERE changed_at > $1 ORDER BY changed_at";

const deviceRows = z.array(
  z
    .object({
      device: z.string(),
      name: z.string().nullable(),
      added_at: z.date(),
      changed_at: z.date(),
      revoked_at: z.date().nullable(),
    })
    .transform(
      ({ added_at: addedAt, changed_at: changedAt, revoked_at: revokedAt, ...row }) =>
        ({ ...row, addedAt, changedAt, revokedAt }) satisfies RegisteredDevice,
    ),
);
const secretRows = z.array(
  z.object({ hash: z.instanceof(Buffer), salt: z.instanceof(Buffer), at: z.date() }),
);
const foundRows = z.array(z.object({ device: z.string() }));
const userRows = z.array(z.object({ user: z.string(), hash: z.string() }));
const changedRows = z.array(z.object({ device: z.string(), at: z.date() }));
const uuid = z.uuid().lowercase();

export function createDevices(database: Database): Devices {
  /** Passwords that were found good, under the salt they were found good with. */
  const known = new Map<string, { readonly salt: Buffer; readonly seen: string }>();
  const secretOf = async (device: string) =>
    secretRows.parse(await database.query(SECRET, [device]))[0];
  const write = async (
    statement: string,
    device: string,
    ...more: (string | null)[]
  ): Promise<string | null> => {
    const password = randomBytes(PASSWORD_BYTES).toString("base64url");
    const salt = randomBytes(SALT_BYTES);
    const hashes = [await hashOf(password, salt), salt, await mosquittoHash(password)];
    const rows = await database.query(statement, [device, ...hashes, ...more]);
    return rows.length === 1 ? password : null;
  };
  const called = async (name: string): Promise<string | null> =>
    foundRows.parse(await database.query(FIND, [name]))[0]?.device ?? null;
  return {
    async find(nameOrId) {
      if (uuid.safeParse(nameOrId).success) return nameOrId;
      const device = await called(nameOrId.normalize("NFC"));
      if (device === null) throw unknown(nameOrId);
      return device;
    },
    async add(device, name = null) {
      const named = name === null ? null : checkedName(name);
      const password = await write(ADD, checked(device), named);
      if (password !== null) return password;
      const other = named === null ? null : await called(named);
      if (named !== null && other !== null && other !== device) throw taken(named);
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

/** Letters and digits, and what joins words: it is printed, typed and part of no path. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._-]{0,63}$/u;

/** Throws `device.name`. */
export function checkedName(given: string): string {
  const name = given.normalize("NFC").trim();
  if (NAME.test(name) && !uuid.safeParse(name.toLowerCase()).success) return name;
  throw new PorchlightError("device.name", "a door's name has letters, digits, spaces, . _ and -", {
    exitCode: EXIT.usage,
    hint: "for example: porchlight-cloud devices add front-door --out front-door.bundle",
  });
}

export function isDeviceId(given: string): boolean {
  return uuid.safeParse(given).success;
}

function taken(name: string): PorchlightError {
  return new PorchlightError("device.name.taken", `there is a door called ${name} already`, {
    hint: `a new password for it: porchlight-cloud devices rotate ${JSON.stringify(name)} --out BUNDLE`,
  });
}

function unknown(device: string): PorchlightError {
  return new PorchlightError(
    "device.unknown",
    `device ${JSON.stringify(device)} is not registered`,
    {
      exitCode: EXIT.notFound,
      hint: "see which are: porchlight-cloud devices list",
    },
  );
}
