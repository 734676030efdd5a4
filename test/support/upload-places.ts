import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import { type ApiOptions, createApi } from "../../cloud-sync/http/server.ts";
import { createFolderStore, type FolderStore } from "../../cloud-sync/objects/folder.ts";
import type { ObjectStore } from "../../cloud-sync/objects/object-store.ts";
import { createS3Store } from "../../cloud-sync/objects/s3.ts";
import { createUploadDoor, UPLOAD_PATH } from "../../cloud-sync/uploads/receive-route.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { tempFolder } from "./temp.ts";
import { type S3Server, startVersitygw } from "./versitygw.ts";

/** Where devices can bring objects, with a clock that can be turned. */
export interface UploadPlace {
  readonly objects: ObjectStore;
  /** Later by so many ms, for a grant that is over. */
  later(ms: number): void;
  stop(): Promise<void>;
}

/** A folder behind our own HTTP server. */
export async function startFolderPlace(
  tls: ApiOptions["tls"] = null,
): Promise<UploadPlace & { readonly folder: string }> {
  const temp = tempFolder("uploads");
  let passedMs = 0;
  const door = createUploadDoor({
    objects: () => objects,
    url: () => api.url(),
    secret: randomBytes(32),
    now: () => Date.now() + passedMs,
    logger: silentLogger,
  });
  const folder = join(temp.path, "objects");
  const objects: FolderStore = createFolderStore({ folder, newId: randomUUID, grant: door.grant });
  const routes = { [`PUT ${UPLOAD_PATH}`]: door.route };
  const api = createApi({ host: "127.0.0.1", port: 0, tls, routes, logger: silentLogger });
  await api.start();
  await objects.open();
  return {
    objects,
    folder,
    later(ms) {
      passedMs += ms;
    },
    async stop() {
      await api.stop();
      temp.remove();
    },
  };
}

/** A real S3 server, whose clock is the machine's. */
export async function startS3Place(
  start: () => Promise<S3Server> = startVersitygw,
): Promise<UploadPlace> {
  const server = await start();
  const objects = createS3Store({ ...server.account, bucket: "media" });
  await objects.open();
  return {
    objects,
    later: () => undefined,
    async stop() {
      objects.close();
      await server.stop();
    },
  };
}
