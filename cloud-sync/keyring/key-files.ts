/** Private keys of the site in PEM files of the centre's operator. */
import { generateKeyPairSync } from "node:crypto";
import { chownSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { replaceSecretFile } from "../host/secret-file.ts";

const TYPES = {
  x25519: () => generateKeyPairSync("x25519"),
  ed25519: () => generateKeyPairSync("ed25519"),
} as const;

/** Makes a key (PKCS #8, RFC 8410), writes it durably and 0600, and gives its PEM. */
export function makeKeyFile(file: string, type: keyof typeof TYPES): string {
  const pem = TYPES[type]().privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const folder = dirname(file);
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined;
  // The user that runs the centre must be able to read it, also where root has come first.
  const { uid, gid } = statSync(dirname(folder));
  if (made && process.getuid?.() === 0) chownSync(folder, uid, gid);
  replaceSecretFile(file, pem, { uid, gid });
  return pem;
}
