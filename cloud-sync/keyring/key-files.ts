/** Private keys of the site in PEM files of the centre's operator. */
import { generateKeyPairSync } from "node:crypto";
import { dirname } from "node:path";
import { heirOf, makeFolder } from "../host/heir.ts";
import { replaceSecretFile } from "../host/secret-file.ts";

const TYPES = {
  x25519: () => generateKeyPairSync("x25519"),
  ed25519: () => generateKeyPairSync("ed25519"),
} as const;

/** Makes a key (PKCS #8, RFC 8410), writes it durably and 0600, and gives its PEM. */
export function makeKeyFile(file: string, type: keyof typeof TYPES): string {
  const pem = TYPES[type]().privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const folder = dirname(file);
  makeFolder(folder);
  replaceSecretFile(file, pem, heirOf(folder).owner);
  return pem;
}
