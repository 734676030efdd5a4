import { randomBytes } from "node:crypto";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { createSecretFile, readSecret, type SecretSources, secretPath } from "./secret-file.ts";

export type KeyName = "log-key" | "vault-key";
export type KeySources = SecretSources & { readonly configuredFile: string };

const KEY_BYTES = 32;

/** The file a key will be read from. */
export function keyPath(name: KeyName, sources: KeySources): string {
  return secretPath(name, sources) ?? sources.configuredFile;
}

/**
 * Reads a raw 32-byte key: 64 hex digits, or the 32 bytes themselves.
 * Throws `key.missing`, `key.exposed` (others may read the file) or `key.malformed`.
 */
export function readKey(name: KeyName, sources: KeySources): Buffer {
  const secret = {
    credential: name,
    code: "key",
    missing: `there is no ${name}`,
    hint: "make the keys and the store: porchlight init",
  };
  return parseKey(readSecret(secret, sources), keyPath(name, sources));
}

function parseKey(content: Buffer, path: string): Buffer {
  if (content.length === KEY_BYTES) return content;
  const text = content.toString("latin1").trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  throw new PorchlightError("key.malformed", `${path} holds neither 32 bytes nor 64 hex digits`, {
    exitCode: EXIT.config,
    hint: "restore the key from your backup, or start anew: porchlight init --data <empty folder>",
  });
}

/** Makes a key and writes it durably. Never overwrites: a lost key is a lost store. */
export function createKeyFile(path: string): void {
  createSecretFile(path, `${randomBytes(KEY_BYTES).toString("hex")}\n`);
}
