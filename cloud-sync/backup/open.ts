/** Where the backups of a centre go, and the key that they are encrypted with. */
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { EXIT, invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { CloudConfig } from "../config/schema.ts";
import { heirOf, makeFolder } from "../host/heir.ts";
import { readSecret, replaceSecretFile } from "../host/secret-file.ts";
import { createFolderStore } from "../objects/folder.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { openS3 } from "../objects/open.ts";
import { isArchived } from "../postgres/archiving.ts";
import { createVessel, KEY_BYTES, type Vessel } from "./vessel.ts";

/** Throws `backup.unset`, `backup.external` or `backup.key.missing`; with `make`, a key is made. */
export function openBackup(config: CloudConfig, make: "make" | "read"): Vessel {
  if (config.database.url !== undefined) {
    throw new PorchlightError(
      "backup.external",
      "the database is another server's: its own tools back it up",
      { exitCode: EXIT.config, hint: "docs/centre.md has the configuration of pgBackRest" },
    );
  }
  if (!isArchived(config)) {
    throw new PorchlightError("backup.unset", "no place for backups is configured", {
      exitCode: EXIT.config,
      hint: "set backup.folder, on another disk, or backup.url: porchlight-cloud config schema; then start the centre again",
    });
  }
  const key = keyOf(config, make);
  return createVessel(storeOf(config), key);
}

/** Of a centre that was restored: its next backups are encrypted with the same key. */
export function placeKey(config: CloudConfig, data: string): void {
  const file = join(resolve(data), "keys", "backup.key");
  if (!existsSync(file)) writeKey(file, keyOf(config, "read"));
}

function writeKey(file: string, key: Buffer): void {
  makeFolder(dirname(file));
  replaceSecretFile(file, `${key.toString("hex")}\n`, heirOf(dirname(file)).owner);
}

function storeOf({ backup }: CloudConfig): ObjectStore {
  const { folder, url } = backup;
  if (url !== undefined) return openS3({ ...backup, url });
  invariant(folder !== undefined, "it is backed up");
  return createFolderStore({ folder: resolve(folder), newId: randomUUID });
}

const SECRET = {
  credential: "backup-key",
  code: "backup.key",
  missing: "there is no key that backups are encrypted with",
  hint: "name the copy of the key of the centre that made them with backup.key: porchlight-cloud config schema",
} as const;

function keyOf(config: CloudConfig, make: "make" | "read"): Buffer {
  const file = resolve(config.backup.key ?? join(config.data, "keys", "backup.key"));
  if (make === "make" && !existsSync(file)) writeKey(file, randomBytes(KEY_BYTES));
  const text = readSecret(SECRET, { ...config, configuredFile: file })
    .toString("utf8")
    .trim();
  const key = Buffer.from(text, "hex");
  if (key.length === KEY_BYTES) return key;
  throw new PorchlightError("backup.key.wrong", `${file} is no key of backups`, {
    exitCode: EXIT.config,
    hint: SECRET.hint,
  });
}
