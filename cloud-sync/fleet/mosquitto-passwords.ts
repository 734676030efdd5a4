/**
 * Lines of a Mosquitto password file (mosquitto_passwd(1)): PBKDF2 with HMAC-SHA512 (RFC 8018).
 *
 *     <user>:$7$<iterations>$<salt, base64>$<64 bytes, base64>
 */
import { pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";

/** As mosquitto_passwd: our passwords have 256 random bits, which no fast hash makes guessable. */
const ITERATIONS = 101;
const SALT_BYTES = 12;
const HASH_BYTES = 64;

/** What comes after the user's name. */
export async function mosquittoHash(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await promisify(pbkdf2)(password, salt, ITERATIONS, HASH_BYTES, "sha512");
  return `$7$${ITERATIONS}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

/** A whole file. */
export function passwordFile(users: readonly { readonly user: string; readonly hash: string }[]) {
  return users.map(({ user, hash }) => `${user}:${hash}\n`).join("");
}
