import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** An authority of a test, in a folder of its own, and what it signs. */
export interface Authority {
  /** PEM file of the authority. */
  readonly caFile: string;
  /** A certificate for a name; for a server also for 127.0.0.1. Gives the PEM files. */
  issue(name: string): { readonly certificateFile: string; readonly keyFile: string };
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: "ignore" });
}

const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export function createAuthority(folder: string, name = "authority"): Authority {
  const at = (file: string): string => join(folder, `${name}-${file}`);
  const [caFile, caKey] = [at("ca.pem"), at("ca.key")];
  const subject = ["-subj", `/CN=${name}`, "-days", "2"];
  openssl("req", "-x509", ...EC_KEY, "-keyout", caKey, "-out", caFile, ...subject);
  return {
    caFile,
    issue(who) {
      const [keyFile, request, certificateFile] = [
        at(`${who}.key`),
        at(`${who}.csr`),
        at(`${who}.pem`),
      ];
      openssl("req", ...EC_KEY, "-keyout", keyFile, "-out", request, "-subj", `/CN=${who}`);
      writeFileSync(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
      const signer = ["-CA", caFile, "-CAkey", caKey, "-CAcreateserial", "-days", "2"];
      const names = ["-extfile", at("names")];
      openssl("x509", "-req", "-in", request, "-out", certificateFile, ...signer, ...names);
      return { certificateFile, keyFile };
    },
  };
}

export function pem(file: string): string {
  return readFileSync(file, "utf8");
}
