/** Secrets that only systemd can read, encrypted for this machine: systemd-creds(1), systemd 250. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";
import { publishFile } from "../host/atomic-file.ts";

export const CREDENTIAL_PREFIX = "porchlight.";

export function credentialPath(folder: string, name: string): string {
  return join(folder, `${CREDENTIAL_PREFIX}${name}`);
}

/**
 * Makes what is missing of the two keys. An existing key is never replaced: a lost key is a lost
 * store. Gives the files it made.
 */
export function makeKeys(folder: string): string[] {
  const made: string[] = [];
  // The vault's key comes last: its file says that both are there (porchlight-keys.service).
  for (const name of ["log-key", "vault-key"]) {
    const path = credentialPath(folder, name);
    if (existsSync(path)) continue;
    encryptCredential(path, name, randomBytes(32));
    made.push(path);
  }
  return made;
}

/**
 * `id` is the name under which a unit loads it, which the encryption covers. Durable when it returns:
 * systemd-creds syncs nothing, and the store that is made next does. What cannot be opened again is
 * given no name.
 */
export function encryptCredential(path: string, id: string, secret: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const next = `${path}.new`;
  rmSync(next, { force: true });
  try {
    creds(path, ["encrypt", `--name=${id}`, "-", next], secret);
    const opened = creds(path, ["decrypt", `--name=${id}`, next, "-"]);
    if (!opened.equals(secret)) throw notMade(path, "it does not open as what it was made of");
    publishFile(next, path);
  } finally {
    rmSync(next, { force: true });
  }
}

function creds(path: string, args: readonly string[], input?: Uint8Array): Buffer {
  const ran = spawnSync("systemd-creds", args, input === undefined ? {} : { input });
  if (ran.error === undefined && ran.status === 0) return ran.stdout;
  throw notMade(path, ran.error?.message ?? ran.stderr.toString("utf8").trim());
}

function notMade(path: string, why: string): PorchlightError {
  return new PorchlightError("install.credential", `${path} could not be made: ${why}`, {
    hint: "systemd 250 or newer and root are needed; older systems: see docs/install.md",
  });
}
