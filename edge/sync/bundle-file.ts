import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { type Bundle, bundleSchema } from "../../shared/protocol/bundle.ts";
import { isExposed } from "../private-file.ts";

/** Where the bundle may come from, in this order. */
export interface BundleSources {
  /** `$CREDENTIALS_DIRECTORY`, set by systemd; there it is called `sync-bundle`. */
  readonly credentialsDirectory: string | undefined;
  /** `$PORCHLIGHT_SYNC_BUNDLE_FILE`. */
  readonly environmentFile: string | undefined;
  readonly configuredFile: string;
}

export const BUNDLE_CREDENTIAL = "sync-bundle";

/**
 * The bundle that this device has joined with. Throws `sync.unjoined`, `sync.bundle.exposed` or
 * `sync.bundle.invalid`.
 */
export function readBundle(sources: BundleSources): Bundle {
  const { credentialsDirectory, environmentFile, configuredFile } = sources;
  const credential = join(credentialsDirectory ?? "", BUNDLE_CREDENTIAL);
  if (credentialsDirectory !== undefined && existsSync(credential)) return parseBundle(credential);
  const path = environmentFile ?? configuredFile;
  if (!existsSync(path)) {
    throw new PorchlightError("sync.unjoined", "this device has not joined a centre", {
      exitCode: EXIT.config,
      hint: "there: porchlight-cloud devices add; then here: porchlight sync join BUNDLE",
    });
  }
  if (isExposed(path)) {
    throw new PorchlightError("sync.bundle.exposed", `${path} can be read by others`, {
      exitCode: EXIT.config,
      hint: `chmod 600 ${path}`,
    });
  }
  return parseBundle(path);
}

/** Checks a bundle wherever it lies. Nothing of what it holds gets into the error. */
export function parseBundle(path: string): Bundle {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw invalidBundle(path, "it is not a JSON file that can be read");
  }
  const { data, error } = bundleSchema.safeParse(value);
  if (data !== undefined) return data;
  const fields = Object.keys(z.treeifyError(error).properties ?? {});
  throw invalidBundle(path, `wrong or missing: ${fields.join(", ") || "unknown fields"}`);
}

/** Keeps a bundle, 0600 and at once: a half one is never seen. */
export function writeBundle(path: string, bundle: Bundle): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(bundle)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function invalidBundle(path: string, what: string): PorchlightError {
  return new PorchlightError("sync.bundle.invalid", `${path} is no bundle: ${what}`, {
    exitCode: EXIT.config,
    hint: "have a new one made: porchlight-cloud devices rotate ID --out BUNDLE",
  });
}
