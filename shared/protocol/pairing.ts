/**
 * How a device gets its bundle with nothing but a code that a person types:
 *
 *     ABCD-EFGH-JKMN-PQRS-TUVW-XYZ0     40 bits of secret, 80 bits of the certificate's SHA-256
 *
 * The device connects, compares the certificate with the code, and only then shows it. It is good
 * for one device, once, for a few minutes: who finds the centre cannot guess it in time, and who
 * stands between cannot have its certificate.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { PorchlightError } from "../core/errors.ts";
import { bundleSchema } from "./bundle.ts";

export const PAIRING_PATH = "/v1/pair";
const SECRET_BYTES = 5;
const PIN_BYTES = 10;
/** Base 32 of D. Crockford: no I, L, O or U, which are read as others. */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP = 4;
const BITS = 5;

/** What a code says of the certificate: that of a machine itself has none. */
export type Pin = Buffer | "loopback" | "system";

export interface PairingCode {
  readonly secret: Buffer;
  readonly pin: Pin;
}

/** The answer may be shown to nobody but the device. */
export const pairingRequestSchema = z.strictObject({
  code: z.string().max(64),
  /** Of a device that has one. */
  device: z.uuid().lowercase().nullable(),
});
export const pairingAnswerSchema = z.strictObject({ bundle: bundleSchema });

/** Of a certificate in DER. */
export function pinOf(certificate: Buffer): Buffer {
  return createHash("sha256").update(certificate).digest().subarray(0, PIN_BYTES);
}

export function pinsAreEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** `random` gives so many bytes that nobody can foresee. */
export function newCode(pin: Pin, random: (bytes: number) => Buffer): string {
  const bytes = Buffer.concat([random(SECRET_BYTES), pinBytes(pin)]);
  let bits = BigInt(`0x${bytes.toString("hex")}`);
  let digits = "";
  for (let i = 0; i < (bytes.length * 8) / BITS; i++, bits >>= BigInt(BITS)) {
    digits = `${DIGITS[Number(bits & 31n)]}${digits}`;
  }
  return (digits.match(new RegExp(`.{${GROUP}}`, "g")) ?? []).join("-");
}

/** However it was typed. Throws `pairing.code` where it is none. */
export function readCode(typed: string): PairingCode {
  const digits = typed
    .toUpperCase()
    .replaceAll(/[\s-]/g, "")
    .replaceAll("O", "0")
    .replaceAll(/[IL]/g, "1");
  const values = [...digits].map((digit) => DIGITS.indexOf(digit));
  if (digits.length * BITS !== (SECRET_BYTES + PIN_BYTES) * 8 || values.includes(-1)) {
    throw new PorchlightError(
      "pairing.code",
      "that is no pairing code: it has 24 letters and digits",
      {
        exitCode: 64,
        hint: "in the centre: porchlight-cloud devices add NAME --code",
      },
    );
  }
  const bits = values.reduce((all, value) => (all << BigInt(BITS)) | BigInt(value), 0n);
  const hex = bits.toString(16).padStart((SECRET_BYTES + PIN_BYTES) * 2, "0");
  const bytes = Buffer.from(hex, "hex");
  return { secret: bytes.subarray(0, SECRET_BYTES), pin: pinFrom(bytes.subarray(SECRET_BYTES)) };
}

/** What the centre keeps of a code. */
export function hashOfCode({ secret }: Pick<PairingCode, "secret">): Buffer {
  return createHash("sha256").update("porchlight pairing ").update(secret).digest();
}

const LOOPBACK = Buffer.alloc(PIN_BYTES, 0);
const SYSTEM = Buffer.alloc(PIN_BYTES, 0xff);

function pinBytes(pin: Pin): Buffer {
  if (pin === "loopback") return LOOPBACK;
  return pin === "system" ? SYSTEM : pin;
}

function pinFrom(bytes: Buffer): Pin {
  if (bytes.equals(LOOPBACK)) return "loopback";
  return bytes.equals(SYSTEM) ? "system" : Buffer.from(bytes);
}
