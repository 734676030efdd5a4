/** Secrets of a process: one way to read them, one way to write them. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { type FileAttributes, replaceFile } from "./atomic-file.ts";

/** Where a secret may come from, in this order. */
export interface SecretSources {
  /** `$CREDENTIALS_DIRECTORY`, set by systemd: private to the service, whatever the modes inside. */
  readonly credentialsDirectory?: string | undefined;
  /** The file that an environment variable names. */
  readonly environmentFile?: string | undefined;
  /** The configured file, or its default; absent where a secret has none. */
  readonly configuredFile?: string;
}

/** What a secret is called: as a credential, in error codes, and what to do when it is missing. */
export interface SecretName {
  /** Null: it is never a credential. */
  readonly credential: string | null;
  /** "key": the errors are `key.missing` and `key.exposed`. */
  readonly code: string;
  /** "no camera URL": begins the message. */
  readonly missing: string;
  readonly hint: string;
  /** Whether a group may read the file, as Debian's ssl-cert may read the system's TLS keys. */
  readonly groupReads?: true;
}

const MODE = 0o600;
const GROUP_AND_WORLD = 0o077;
const GROUP_READS = 0o040;
/** A bundle with its certificates has some KiB. */
const BYTES_MAX = 1024 * 1024;

/** The file that it will be read from; null where none is named. */
export function secretPath(credential: string | null, sources: SecretSources): string | null {
  return (
    credentialPath(credential, sources) ?? sources.environmentFile ?? sources.configuredFile ?? null
  );
}

/**
 * Reads a secret. Throws `<code>.missing`, or `<code>.exposed` where others than its owner may read,
 * change or run the file. Nothing of the content is in an error.
 */
export function readSecret(name: SecretName, sources: SecretSources): Buffer {
  const path = secretPath(name.credential, sources);
  if (path === null || !existsSync(path)) {
    const place = path === null ? "none is configured" : `${path} does not exist`;
    throw new PorchlightError(`${name.code}.missing`, `${name.missing}: ${place}`, {
      exitCode: EXIT.config,
      hint: name.hint,
    });
  }
  const isCredential = path === credentialPath(name.credential, sources);
  const file = openForReading(path, name);
  try {
    const { mode, size } = fstatSync(file);
    const tolerated = name.groupReads === true ? GROUP_READS : 0;
    if (!isCredential && (mode & GROUP_AND_WORLD & ~tolerated) !== 0) {
      throw new PorchlightError(
        `${name.code}.exposed`,
        `${path} can be read by others than its owner`,
        {
          exitCode: EXIT.config,
          hint: `chmod 600 ${path}`,
        },
      );
    }
    if (size <= BYTES_MAX) return readFileSync(file);
    throw new PorchlightError(`${name.code}.malformed`, `${path} is far too large for what it is`, {
      exitCode: EXIT.config,
      hint: name.hint,
    });
  } finally {
    closeSync(file);
  }
}

/** Writes a secret that may replace an older one of its kind, 0600 and at once. */
export function replaceSecretFile(
  path: string,
  content: string | Uint8Array,
  owner?: FileAttributes["owner"],
): void {
  replaceFile(path, content, { mode: MODE, ...(owner !== undefined && { owner }) });
}

function credentialPath(
  credential: string | null,
  { credentialsDirectory }: SecretSources,
): string | null {
  if (credentialsDirectory === undefined || credential === null) return null;
  const path = join(credentialsDirectory, credential);
  return existsSync(path) ? path : null;
}

function openForReading(path: string, { code }: SecretName): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    const reason = systemCodeOf(error);
    if (reason !== "EACCES" && reason !== "EPERM") throw error;
    throw new PorchlightError(`${code}.unreadable`, `this user may not read ${path}`, {
      exitCode: EXIT.config,
      hint: `see whose it is: ls -l ${path}; run the command as that user`,
      cause: error,
    });
  }
}
