/**
 * Certificates of our own, for a centre that others on the network reach and that nobody has given
 * any. The only home of @peculiar/x509.
 *
 *     <folder>/authority.pem, authority.key   signs; devices get its certificate in their bundles
 *     <folder>/server.pem, server.key         what we prove ourselves by
 */
import { createPrivateKey, X509Certificate as NodeCertificate, webcrypto } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { dirname, join } from "node:path";
// tsyringe, inside @peculiar/x509, does not load without it.
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { replaceFile } from "./atomic-file.ts";
import { heirOf, makeFolder } from "./heir.ts";
import { readSecret, replaceSecretFile } from "./secret-file.ts";

export interface ServerIdentity {
  /** PEM of the certificate, with its chain. */
  readonly certificate: string;
  /** PEM of its private key. */
  readonly key: string;
  /** PEM of the authority that devices are to trust. */
  readonly authority: string;
}

export interface IdentityOptions {
  readonly folder: string;
  /** Names and addresses by which devices reach us; at least one. */
  readonly names: readonly string[];
  readonly nowMs: number;
  readonly logger?: Logger | undefined;
}

/** Every TLS library of the last ten years knows it, and its keys are small (RFC 5480). */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
/** A device clock may be behind: what was made today is good since yesterday. */
const BACKDATED_MS = DAY_MS;
/**
 * Bundles hold the authority, as long as a doorbell hangs; and no clock that was wrong when it was
 * made may make it end, or not have begun. The last is for "no end" (RFC 5280, 4.1.2.5).
 */
const AUTHORITY_VALIDITY = {
  notBefore: new Date("2020-01-01T00:00:00Z"),
  notAfter: new Date("9999-12-31T23:59:59Z"),
};
/** Some clients refuse longer ones (Apple: 825 days). */
const SERVER_DAYS = 800;
const RENEW_BEFORE_MS = 60 * DAY_MS;

/**
 * The identity in a folder; what is missing, runs out or names other names is made. The authority
 * stays: devices trust it. Throws `tls.unusable`.
 */
export async function ensureIdentity(options: IdentityOptions): Promise<ServerIdentity> {
  const { folder } = options;
  makeFolder(folder);
  try {
    const authority = await ensureAuthority(options);
    const [file, keyFile] = [join(folder, "server.pem"), join(folder, "server.key")];
    const read = () => ({
      certificate: readFileSync(file, "utf8"),
      key: readKey(keyFile),
    });
    if (!existsSync(file) || isStale(read(), options, authority)) {
      await makeServer(options, authority);
    }
    return { ...read(), authority: authority.certificate.toString("pem") };
  } catch (cause) {
    const what = `the certificates in ${folder} cannot be used: ${messageOf(cause)}`;
    const hint = "name others with tls.certificate and tls.key: porchlight-cloud config schema";
    throw new PorchlightError("tls.unusable", what, { hint, cause });
  }
}

interface Authority {
  readonly certificate: X509Certificate;
  readonly privateKey: webcrypto.CryptoKey;
}

async function ensureAuthority({ folder, nowMs, logger }: IdentityOptions): Promise<Authority> {
  const [file, keyFile] = [join(folder, "authority.pem"), join(folder, "authority.key")];
  if (existsSync(file)) {
    const certificate = new X509Certificate(readFileSync(file, "utf8"));
    const isGood =
      certificate.notBefore.getTime() <= nowMs && nowMs < certificate.notAfter.getTime();
    if (isGood) return { certificate, privateKey: await importKey(readKey(keyFile)) };
    // An earlier version made it while the clock was wrong: no device can trust it now.
    logger?.warn("the authority is not valid at this time: another one is made", {
      from: certificate.notBefore.toISOString(),
      to: certificate.notAfter.toISOString(),
      hint: "is this machine's clock right? then each device needs a new bundle: porchlight-cloud devices rotate",
    });
  }
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=Porchlight centre",
    ...AUTHORITY_VALIDITY,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await save(keyFile, keys.privateKey);
  const pem = `${certificate.toString("pem").trim()}\n`;
  replaceFile(file, pem, { mode: 0o644, ...heirOf(folder) });
  return { certificate, privateKey: keys.privateKey };
}

async function makeServer({ folder, names, nowMs }: IdentityOptions, authority: Authority) {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: "CN=Porchlight centre, OU=server",
    issuer: authority.certificate.subject,
    ...validity(nowMs, SERVER_DAYS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
      ),
    ],
  });
  await save(join(folder, "server.key"), keys.privateKey);
  const pem = `${certificate.toString("pem").trim()}\n`;
  replaceFile(join(folder, "server.pem"), pem, { mode: 0o644, ...heirOf(folder) });
}

/**
 * Whether a server's certificate runs out soon or has not begun, or was made for other names, for
 * another key or by another authority.
 */
function isStale(
  server: Pick<ServerIdentity, "certificate" | "key">,
  { names, nowMs }: IdentityOptions,
  authority: Authority,
): boolean {
  const certificate = new NodeCertificate(server.certificate);
  const [beginsMs, endsMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const issuer = new NodeCertificate(authority.certificate.toString("pem"));
  const knows = (name: string): boolean =>
    (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
  const own = certificate.checkPrivateKey(createPrivateKey(server.key));
  const inTime = beginsMs <= nowMs && endsMs - nowMs >= RENEW_BEFORE_MS;
  return !own || !inTime || !certificate.verify(issuer.publicKey) || !names.every(knows);
}

function validity(nowMs: number, days: number) {
  return {
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", PemConverter.decodeFirst(pem), ALGORITHM, true, [
    "sign",
  ]);
}

/** Before its certificate: a certificate without a key would be taken for whole. */
async function save(file: string, key: webcrypto.CryptoKey): Promise<void> {
  const bytes = await webcrypto.subtle.exportKey("pkcs8", key);
  const { owner } = heirOf(dirname(file));
  replaceSecretFile(file, `${PemConverter.encode(bytes, "PRIVATE KEY").trim()}\n`, owner);
}

function readKey(path: string): string {
  const secret = {
    credential: null,
    code: "tls.key",
    missing: "a private key of our own is missing",
    hint: "with its certificate removed beside it, a new one is made at the next start",
  };
  return readSecret(secret, { configuredFile: path }).toString("utf8");
}
