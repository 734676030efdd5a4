import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { isExposed } from "../private-file.ts";

export type KeyName = "log-key" | "vault-key";

/** Where a key may come from, in this order. */
export interface KeySources {
  /** `$CREDENTIALS_DIRECTORY`, set by systemd. */
  readonly credentialsDirectory: string | undefined;
  /** `$PORCHLIGHT_LOG_KEY_FILE` or `$PORCHLIGHT_VAULT_KEY_FILE`. */
  readonly environmentFile: string | undefined;
  /** The configured file, made by `porchlight init`. */
  readonly configuredFile: string;
}

const KEY_BYTES = 32;

/** The file a key will be read from. */
export function keyPath(name: KeyName, sources: KeySources): string {
  const { credentialsDirectory, environmentFile, configuredFile } = sources;
  const credential = credentialsDirectory === undefined ? "" : join(credentialsDirectory, name);
  if (credential !== "" && existsSync(credential)) return credential;
  return environmentFile ?? configuredFile;
}

/**
 * Reads a raw 32-byte key: 64 hex digits, or the 32 bytes themselves.
 * Throws `key.missing`, `key.exposed` (others may read the file) or `key.malformed`.
 */
export function readKey(name: KeyName, sources: KeySources): Buffer {
  const path = keyPath(name, sources);
  if (!existsSync(path)) {
    throw new PorchlightError("key.missing", `there is no ${name} at ${path}`, {
      exitCode: EXIT.config,
      hint: "make the keys and the store: porchlight init",
    });
  }
  // systemd's credential folder is private to the service, whatever the modes inside say.
  const exposed = isExposed(path);
  if (exposed && path !== join(sources.credentialsDirectory ?? "", name)) {
    throw new PorchlightError("key.exposed", `${path} can be read by others than its owner`, {
      exitCode: EXIT.config,
      hint: `chmod 600 ${path}`,
    });
  }
  return parseKey(readFileSync(path), path);
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

/** Makes a key and writes it durably, 0600. Never overwrites: a lost key is a lost store. */
export function createKeyFile(path: string): void {
  const file = openSync(path, "wx", 0o600);
  writeSync(file, `${randomBytes(KEY_BYTES).toString("hex")}\n`);
  fsyncSync(file);
  closeSync(file);
}
