import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { type Bundle, bundleSchema } from "../../shared/protocol/bundle.ts";
import {
  readSecret,
  replaceSecretFile,
  type SecretSources,
  secretPath,
} from "../host/secret-file.ts";

export const BUNDLE_CREDENTIAL = "sync-bundle";

/**
 * The bundle that this device has joined with. Throws `sync.unjoined`, `sync.bundle.exposed` or
 * `sync.bundle.invalid`.
 */
export function readBundle(sources: SecretSources): Bundle {
  const path = secretPath(BUNDLE_CREDENTIAL, sources);
  const hint = "there: porchlight-cloud devices add; then here: porchlight sync join BUNDLE";
  if (path === null || !existsSync(path)) {
    throw new PorchlightError("sync.unjoined", "this device has not joined a centre", {
      exitCode: EXIT.config,
      hint,
    });
  }
  const secret = { credential: BUNDLE_CREDENTIAL, code: "sync.bundle", missing: "no bundle", hint };
  return bundleOf(readSecret(secret, sources), path);
}

/** Checks a bundle that is to be joined with, wherever it lies. */
export function parseBundle(path: string): Bundle {
  try {
    return bundleOf(readFileSync(path), path);
  } catch (error) {
    if (error instanceof PorchlightError) throw error;
    throw invalidBundle(path, "it is not a file that can be read");
  }
}

/** Nothing of what it holds gets into the error. */
function bundleOf(content: Buffer, path: string): Bundle {
  let value: unknown;
  try {
    value = JSON.parse(content.toString("utf8"));
  } catch {
    throw invalidBundle(path, "it is not JSON");
  }
  const { data, error } = bundleSchema.safeParse(value);
  if (data !== undefined) return data;
  const fields = Object.keys(z.treeifyError(error).properties ?? {});
  throw invalidBundle(path, `wrong or missing: ${fields.join(", ") || "unknown fields"}`);
}

export function writeBundle(path: string, bundle: Bundle): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  replaceSecretFile(path, `${JSON.stringify(bundle)}\n`);
}

function invalidBundle(path: string, what: string): PorchlightError {
  return new PorchlightError("sync.bundle.invalid", `${path} is no bundle: ${what}`, {
    exitCode: EXIT.config,
    hint: "have a new one made: porchlight-cloud devices rotate ID --out BUNDLE",
  });
}
