/** The object store that a configuration names, or a folder of our own where it names none. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { invariant } from "../../shared/core/errors.ts";
import type { CloudConfig } from "../config/schema.ts";
import { createFolderStore, type FolderStore } from "./folder.ts";
import type { ObjectStore, UploadGrant, UploadWish } from "./object-store.ts";
import { createS3Store } from "./s3.ts";

export function openObjects(
  { data, objects }: Pick<CloudConfig, "data" | "objects">,
  newId: () => string,
  skewed: (serverAheadS: number) => void = () => undefined,
): ObjectStore {
  const { folder, url, publicUrl, bucket, accessKeyId, secretAccessKey, region } = objects;
  if (url === undefined) return openFolder({ data, folder, newId });
  const given = bucket !== undefined && accessKeyId !== undefined && secretAccessKey !== undefined;
  invariant(given, "the configuration was checked where it was read");
  const account = { accessKeyId, secretAccessKey };
  const ca = objects.ca === undefined ? undefined : readFileSync(objects.ca, "utf8");
  const { forcePathStyle } = objects;
  const server = { endpoint: url, publicEndpoint: publicUrl, ca, skewed };
  return createS3Store({ ...server, bucket, region, forcePathStyle, ...account });
}

/** The folder, and how devices upload into it. */
export function openFolder({
  data,
  folder = join(resolve(data), "objects"),
  newId,
  grant,
}: {
  readonly data: string;
  readonly folder: string | undefined;
  readonly newId: () => string;
  readonly grant?: (wish: UploadWish) => UploadGrant;
}): FolderStore {
  return createFolderStore({ folder, newId, ...(grant !== undefined && { grant }) });
}
