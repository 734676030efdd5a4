/** Secrets that only systemd can read, encrypted for this machine: systemd-creds(1), systemd 250. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { PorchlightError } from "../../shared/core/errors.ts";

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

/** `id` is the name under which a unit loads it, which the encryption covers. */
export function encryptCredential(path: string, id: string, secret: Uint8Array): void {
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
  const { error, status, stderr } = spawnSync(
    "systemd-creds",
    ["encrypt", `--name=${id}`, "-", path],
    {
      input: secret,
      encoding: "utf8",
    },
  );
  if (error === undefined && status === 0) return;
  throw new PorchlightError("install.credential", `${path} could not be made: ${stderr ?? error}`, {
    hint: "systemd 250 or newer and root are needed; older systems: see docs/install.md",
  });
}
