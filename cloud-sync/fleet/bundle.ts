/** Makes what a device needs to reach this centre, and keeps it where only its owner reads it. */
import { renameSync, writeFileSync } from "node:fs";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { type Bundle, bundleSchema } from "../../shared/protocol/bundle.ts";

export interface Reach {
  /** Of the broker, as devices reach it. */
  readonly url: string;
  /** PEM of the authority behind it; null: the one that the device's system knows. */
  readonly authority: string | null;
}

/** What a device proves itself by: a password, or a certificate that somebody else has signed. */
export type Proof =
  | { readonly password: string }
  | { readonly certificate: string; readonly key: string };

export function makeBundle(
  device: string,
  { url, authority }: Reach,
  proof: Proof,
  sitePublicKey: Buffer,
): Bundle {
  const account =
    "password" in proof
      ? { username: device, password: proof.password }
      : { certificate: proof.certificate, key: proof.key };
  const ca = authority === null ? {} : { ca: authority };
  const site = sitePublicKey.toString("base64");
  return bundleSchema.parse({ format: 1, device, url, site, ...ca, ...account });
}

/** Written 0600 and at once. Throws `bundle.unwritable`; nothing of what it holds is in the error. */
export function saveBundle(path: string, bundle: Bundle): void {
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(bundle)}\n`, { mode: 0o600, flag: "w" });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new PorchlightError("bundle.unwritable", `${path} was not written: ${messageOf(cause)}`, {
      hint: `choose another place, and make a new one: porchlight-cloud devices rotate ${bundle.device} --out BUNDLE`,
      cause,
    });
  }
}
