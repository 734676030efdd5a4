/** Makes what a device needs to reach this centre, and keeps it where only its owner reads it. */
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { type Bundle, bundleSchema } from "../../shared/protocol/bundle.ts";
import type { BrokerAddress } from "../host/broker-address.ts";
import { replaceSecretFile } from "../host/secret-file.ts";

/** The credentials of a device: a password, or a certificate that another authority has signed. */
export type Proof =
  | { readonly password: string }
  | { readonly certificate: string; readonly key: string };

/** Public keys of the site. */
export interface SiteKeys {
  /** X25519: what devices release to. */
  readonly site: Buffer;
  /** Ed25519: what acks are signed with; null for a device of an earlier version. */
  readonly signing: Buffer | null;
}

export function makeBundle(
  device: string,
  { url, authority }: BrokerAddress,
  proof: Proof,
  keys: SiteKeys,
): Bundle {
  const account =
    "password" in proof
      ? { username: device, password: proof.password }
      : { certificate: proof.certificate, key: proof.key };
  const ca = authority === null ? {} : { ca: authority };
  const site = keys.site.toString("base64");
  const signing = keys.signing === null ? {} : { signing: keys.signing.toString("base64") };
  return bundleSchema.parse({ format: 1, device, url, site, ...signing, ...ca, ...account });
}

/** Written 0600 and at once. Throws `bundle.unwritable`; nothing of what it holds is in the error. */
export function saveBundle(path: string, bundle: Bundle): void {
  try {
    replaceSecretFile(path, `${JSON.stringify(bundle)}\n`);
  } catch (cause) {
    throw new PorchlightError("bundle.unwritable", `${path} was not written: ${messageOf(cause)}`, {
      hint: `choose another place, and make a new one: porchlight-cloud devices rotate ${bundle.device} --out BUNDLE`,
      cause,
    });
  }
}
