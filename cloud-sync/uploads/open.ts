/** Uploads of devices: into S3 by presigned requests, into a folder through our own server. */
import { randomBytes } from "node:crypto";
import type { Logger } from "../../shared/core/logger.ts";
import type { Topic } from "../../shared/protocol/wire.ts";
import type { CloudConfig } from "../config/schema.ts";
import { advertisedHost, isAnywhere } from "../host/addresses.ts";
import type { Route } from "../http/server.ts";
import type { FolderStore } from "../objects/folder.ts";
import { openFolder, openObjects } from "../objects/open.ts";
import type { Database } from "../postgres/database.ts";
import { createUploads, type Uploads } from "./grants.ts";
import { createUploadDoor, UPLOAD_PATH, type UploadDoorStats } from "./receive-route.ts";

export interface UploadParts {
  readonly config: CloudConfig;
  readonly database: Pick<Database, "query">;
  readonly publish: (topic: Topic, payload: Buffer) => void;
  /** Where our HTTP server listens. */
  readonly url: () => string;
  readonly clock: { readonly now: () => number };
  readonly newId: () => string;
  readonly logger: Logger;
}

const SECRET_BYTES = 32;

export function openUploads(parts: UploadParts): {
  readonly uploads: Uploads;
  readonly routes: Readonly<Record<string, Route>>;
  /** Null where objects go to S3. */
  readonly doorStats: () => UploadDoorStats | null;
} {
  const { config, clock, newId } = parts;
  const { now } = clock;
  const { data, objects } = config;
  if (objects.url !== undefined) {
    const skewed = (serverAheadS: number): void =>
      parts.logger.warn("the clock of the object store differs from this machine's", {
        serverAheadS,
        hint: "set this machine's clock: timedatectl; grants are signed by the other one meanwhile",
      });
    return {
      uploads: createUploads({ ...parts, now, objects: openObjects(config, newId, skewed) }),
      routes: {},
      doorStats: () => null,
    };
  }
  const url = (): string => reachable(config, parts.url());
  const secret = randomBytes(SECRET_BYTES);
  const door = createUploadDoor({ ...parts, now, objects: () => folder, url, secret });
  const folder: FolderStore = openFolder({
    data,
    folder: objects.folder,
    newId,
    grant: door.grant,
  });
  return {
    uploads: createUploads({ ...parts, now, objects: folder }),
    routes: { [`PUT ${UPLOAD_PATH}`]: door.route },
    doorStats: door.stats,
  };
}

function reachable({ http, tls }: CloudConfig, listening: string): string {
  if (http.url !== undefined) return http.url;
  const url = new URL(listening);
  if (isAnywhere(http.host)) url.hostname = advertisedHost(http.host, tls.names);
  return url.href;
}
