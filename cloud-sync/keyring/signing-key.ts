/**
 * The key that this site signs its acks with. Its private half is a file of the centre's operator, the
 * same on every instance that answers devices; the database holds the public one.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { type AnswerSigner, answerSigner } from "../../shared/protocol/answer-proof.ts";
import type { CloudConfig } from "../config/schema.ts";
import { readSecret, secretPath } from "../host/secret-file.ts";
import type { Database } from "../postgres/database.ts";
import { makeKeyFile } from "./key-files.ts";

type SigningConfig = Pick<CloudConfig, "data" | "site" | "credentialsDirectory">;

const READ = "SELECT public_key FROM signing_key";
const REGISTER = "INSERT INTO signing_key (public_key) VALUES ($1) ON CONFLICT DO NOTHING";
const keyRows = z.array(z.object({ public_key: z.instanceof(Buffer) }));
const SCHEMA = "name its PEM file (Ed25519) with site.signingKey: porchlight-cloud config schema";
const COPY =
  "copy keys/signing.key from the machine where the centre first ran, or name it: site.signingKey";
const SECRET = {
  credential: "signing-key",
  code: "site.signing",
  missing: "there is no signing key of this site",
  hint: COPY,
};

export function signingKeyFile({ data, site }: SigningConfig): string {
  return resolve(site.signingKey ?? join(data, "keys", "signing.key"));
}

/**
 * The first instance makes the key. Throws `site.signing.missing`, `site.signing.other` or
 * `site.signing.unusable`: an instance that cannot sign would leave devices without acks.
 */
export async function openSigningKey(
  config: SigningConfig,
  database: Pick<Database, "query">,
): Promise<AnswerSigner> {
  const file = signingKeyFile(config);
  const placed = secretPath(SECRET.credential, { ...config, configuredFile: file }) ?? file;
  const registered = await readSigningKey(database);
  const signer =
    registered === null && !existsSync(placed) ? makeSigner(file) : readSigner(config, file);
  // Two first instances may have come at once: one of them has made the key.
  await database.query(REGISTER, [signer.publicKey]);
  if ((await readSigningKey(database))?.equals(signer.publicKey)) return signer;
  throw new PorchlightError("site.signing.other", `${file} is not the signing key of this site`, {
    exitCode: EXIT.config,
    hint: COPY,
  });
}

/** A new key in the place of one that is lost or known to others. Done half, it is to be done again. */
export async function renewSigningKey(
  config: SigningConfig,
  database: Pick<Database, "transaction">,
): Promise<AnswerSigner> {
  const signer = makeSigner(signingKeyFile(config));
  await database.transaction(async (connection) => {
    await connection.query("DELETE FROM signing_key");
    await connection.query(REGISTER, [signer.publicKey]);
  });
  return signer;
}

/** The registered public half; null before the first start of a centre. */
export async function readSigningKey(database: Pick<Database, "query">): Promise<Buffer | null> {
  return keyRows.parse(await database.query(READ))[0]?.public_key ?? null;
}

function makeSigner(file: string): AnswerSigner {
  try {
    return answerSigner(makeKeyFile(file, "ed25519"));
  } catch (cause) {
    throw unusable(file, messageOf(cause));
  }
}

function readSigner(config: SigningConfig, file: string): AnswerSigner {
  const pem = readSecret(SECRET, { ...config, configuredFile: file }).toString("utf8");
  try {
    return answerSigner(pem);
  } catch {
    // Nothing of what it holds is in the error.
    throw unusable(file, "it is no such key");
  }
}

function unusable(file: string, why: string): PorchlightError {
  const message = `the signing key ${file} cannot be used: ${why}`;
  return new PorchlightError("site.signing.unusable", message, {
    exitCode: EXIT.config,
    hint: SCHEMA,
  });
}
