/** The object store that a configuration names, or a folder of our own where it names none. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { invariant } from "../../shared/core/errors.ts";
import type { CloudConfig } from "../config/schema.ts";
import { createFolderStore, type FolderStore } from "./folder.ts";
import type { ObjectStore, UploadGrant, UploadWish } from "./object-store.ts";
import { createS3Store, type S3Options } from "./s3.ts";

export function openObjects(
  { data, objects }: Pick<CloudConfig, "data" | "objects">,
  newId: () => string,
  skewed: (serverAheadS: number) => void = () => undefined,
): ObjectStore {
  const { folder, url, publicUrl } = objects;
  if (url === undefined) return openFolder({ data, folder, newId });
  return openS3({ ...objects, url }, { publicEndpoint: publicUrl, skewed });
}

/** The S3 server of a slice of the configuration that names one (config/s3-account.ts). */
export function openS3(
  slice: Pick<CloudConfig["backup"], "ca" | "region" | "forcePathStyle"> & S3Account,
  more: Pick<S3Options, "publicEndpoint" | "skewed"> = {},
): ObjectStore {
  const { url, bucket, accessKeyId, secretAccessKey, region, forcePathStyle } = slice;
  const given = bucket !== undefined && accessKeyId !== undefined && secretAccessKey !== undefined;
  invariant(given, "the configuration was checked where it was read");
  const ca = slice.ca === undefined ? undefined : readFileSync(slice.ca, "utf8");
  const server = { ...more, endpoint: url, ca, bucket, region, forcePathStyle };
  return createS3Store({ ...server, accessKeyId, secretAccessKey });
}

interface S3Account {
  readonly url: string;
  readonly bucket?: string | undefined;
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
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
