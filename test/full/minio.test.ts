/** MinIO itself: what one S3 server has let pass, another may not. */
import type { ObjectStore } from "../../cloud-sync/objects/object-store.ts";
import { createS3Store } from "../../cloud-sync/objects/s3.ts";
import { needsMinio, startMinio } from "../support/minio.ts";
import { objectPromises, s3Promises } from "../support/object-promises.ts";
import { suite } from "../support/suite.ts";
import { startS3Place } from "../support/upload-places.ts";
import { uploadPromises } from "../support/upload-promises.ts";
import type { S3Server } from "../support/versitygw.ts";

const objects = suite("objects in MinIO");
const uploads = suite("uploads into MinIO, presigned");

if (needsMinio()) {
  let server: S3Server | undefined;
  let buckets = 0;
  const made = (more: Partial<Parameters<typeof createS3Store>[0]> = {}): ObjectStore => {
    if (server === undefined) throw new Error("the server is started first");
    return createS3Store({ ...server.account, bucket: `bucket-${++buckets}`, ...more });
  };
  objects.before(async () => {
    server = await startMinio();
  });
  objects.after(() => server?.stop());
  objectPromises(objects, () => made());
  s3Promises(objects, made);
  uploadPromises(uploads, () => startS3Place(startMinio));
}

objects.run();
uploads.run();
