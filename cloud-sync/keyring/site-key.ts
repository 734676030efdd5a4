/**
 * The key pair of this site. Its private half is a file of the centre's operator; the database
 * holds the public one, so that several instances find out whether they have the same.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { fingerprintOf, type SitePair, sitePairOf } from "../../shared/log/site-key.ts";
import type { CloudConfig } from "../config/schema.ts";
import { readSecret, secretPath } from "../host/secret-file.ts";
import type { Database } from "../postgres/database.ts";
import { makeKeyFile } from "./key-files.ts";
import { LOCK_KEYS } from "./lock.ts";

/** What an instance has of the site's key. */
export interface SiteKey {
  readonly publicKey: Buffer;
  /** Null on an instance that has not got the file: it takes keys in, and opens none. */
  readonly privateKey: Buffer | null;
}

type SiteConfig = Pick<CloudConfig, "data" | "site" | "credentialsDirectory">;

const READ = "SELECT public_key FROM site_key";
const REGISTER = "INSERT INTO site_key (public_key) VALUES ($1) ON CONFLICT DO NOTHING";
const TAKE_BACK = `UPDATE released_keys
  SET wrapped = NULL, changed = nextval('released_keys_changes') WHERE wrapped IS NOT NULL`;
const keyRows = z.array(z.object({ public_key: z.instanceof(Buffer) }));

const SECRET = {
  credential: "site-key",
  code: "site.key",
  missing: "there is no key of this site",
  hint: "name a PEM file of an X25519 key with site.key: porchlight-cloud config schema",
};

export function siteKeyFile({ data, site }: SiteConfig): string {
  return resolve(site.key ?? join(data, "keys", "site.key"));
}

/**
 * The site's key; the first instance makes it. Throws `site.key.unusable`, or `site.key.other` where
 * the file is not that of the site.
 */
export async function openSiteKey(
  config: SiteConfig,
  database: Pick<Database, "query">,
): Promise<SiteKey> {
  const file = siteKeyFile(config);
  const registered = await readPublicKey(database);
  const placed = secretPath(SECRET.credential, { ...config, configuredFile: file }) ?? file;
  if (registered !== null && !existsSync(placed))
    return { publicKey: registered, privateKey: null };
  const pair = existsSync(placed) ? readPair(config, file) : makePair(file);
  // Two first instances may have come at once: one of them has made the key.
  await database.query(REGISTER, [pair.publicKey]);
  const publicKey = await readPublicKey(database);
  if (publicKey?.equals(pair.publicKey)) return pair;
  throw new PorchlightError("site.key.other", `${file} is not the key of this site`, {
    exitCode: EXIT.config,
    hint: `copy the file from the machine where the centre first ran; its key is ${publicKey === null ? "unknown" : fingerprintOf(publicKey)}`,
  });
}

/**
 * A new key for the site, in the place of one that is lost or known to others. What was released for
 * the old one is destroyed. Done half, it is to be done again.
 */
export async function renewSiteKey(
  config: SiteConfig,
  database: Pick<Database, "query" | "transaction">,
): Promise<SiteKey> {
  const pair = makePair(siteKeyFile(config));
  await database.transaction(async (connection) => {
    await connection.query(LOCK_KEYS);
    await connection.query("DELETE FROM site_key");
    await connection.query(REGISTER, [pair.publicKey]);
    await connection.query(TAKE_BACK);
  });
  return pair;
}

/** The same for who only looks: null before the first start of a centre. */
export async function findSiteKey(
  config: SiteConfig,
  database: Pick<Database, "query">,
): Promise<SiteKey | null> {
  return (await readPublicKey(database)) === null ? null : await openSiteKey(config, database);
}

/** Null before the first start of a centre. */
export async function readPublicKey(database: Pick<Database, "query">): Promise<Buffer | null> {
  return keyRows.parse(await database.query(READ))[0]?.public_key ?? null;
}

function readPair(config: SiteConfig, file: string): SitePair {
  try {
    return sitePairOf(readSecret(SECRET, { ...config, configuredFile: file }).toString("utf8"));
  } catch (cause) {
    if (cause instanceof PorchlightError) throw cause;
    throw unusable(file, cause);
  }
}

function makePair(file: string): SitePair {
  try {
    return sitePairOf(makeKeyFile(file, "x25519"));
  } catch (cause) {
    throw unusable(file, cause);
  }
}

/** Nothing of what it holds is in the error. */
function unusable(file: string, cause: unknown): PorchlightError {
  const why = cause instanceof Error && "code" in cause ? messageOf(cause) : "it is no such key";
  return new PorchlightError("site.key.unusable", `the site's key ${file} cannot be used: ${why}`, {
    exitCode: EXIT.config,
    hint: "name a PEM file of an X25519 key with site.key: porchlight-cloud config schema",
  });
}
