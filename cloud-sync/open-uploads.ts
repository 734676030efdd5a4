/** How devices bring objects: into S3 by presigned requests, into a folder through our own server. */
import { randomBytes } from "node:crypto";
import type { Logger } from "../shared/core/logger.ts";
import type { Topic } from "../shared/protocol/wire.ts";
import type { Route } from "./api/server.ts";
import { createUploadDoor, UPLOAD_PATH } from "./api/upload-door.ts";
import type { CloudConfig } from "./config.ts";
import { createUploads, type Uploads } from "./fleet/uploads.ts";
import { ownNames } from "./identity.ts";
import type { FolderStore } from "./objects/folder.ts";
import { openFolder, openObjects } from "./open-objects.ts";
import type { Database } from "./postgres/database.ts";

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
} {
  const { config, clock, newId } = parts;
  const { now } = clock;
  const { data, objects } = config;
  if (objects.url !== undefined) {
    return {
      uploads: createUploads({ ...parts, now, objects: openObjects(config, newId) }),
      routes: {},
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
  };
}

/** Addresses at which a server listens everywhere, and nobody connects. */
const ANYWHERE = ["0.0.0.0", "::"];

function reachable({ http, tls }: CloudConfig, listening: string): string {
  if (http.url !== undefined) return http.url;
  if (!ANYWHERE.includes(http.host)) return listening;
  const url = new URL(listening);
  url.hostname = tls.names[0] ?? ownNames()[0] ?? http.host;
  return url.href;
}
