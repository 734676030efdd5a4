/**
 * Takes in what devices bring, for a centre whose objects lie in a folder: what a presigned PUT is
 * to S3. A grant is signed, so nothing of it has to be remembered:
 *
 *     PUT /upload/<key>
 *     content-length: <bytes>               signature = HMAC-SHA256 over the canonical JSON array
 *     x-porchlight-sha256: <hex>                        [key, sha256, bytes, expires]
 *     x-porchlight-expires: <ms>            under a secret of this process: after a restart of it
 *     x-porchlight-signature: <hex>         a device asks again
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { canonicalJson } from "../../shared/log/chain.ts";
import {
  UPLOAD_BYTES_PER_S_MIN,
  UPLOAD_GRACE_MS,
  UPLOADS_PER_DEVICE_MAX,
} from "../fairness/limits.ts";
import { pathOf, type Route } from "../http/server.ts";
import type { FolderStore, Received } from "../objects/folder.ts";
import { deviceOfKey } from "../objects/media-key.ts";
import type { UploadGrant, UploadWish } from "../objects/object-store.ts";

export interface UploadDoor {
  readonly grant: (wish: UploadWish) => UploadGrant;
  /** For `PUT /upload/`. */
  readonly route: Route;
  readonly stats: () => UploadDoorStats;
}

export interface UploadDoorStats {
  /** Too many at once: in all, of the device, or of this very object. */
  readonly refused: number;
  readonly slow: number;
}

export interface UploadDoorOptions {
  readonly objects: () => Pick<FolderStore, "receive">;
  /** Of this server, as devices reach it. */
  readonly url: () => string;
  /** 32 random bytes, of this process alone. */
  readonly secret: Buffer;
  readonly now: () => number;
  readonly logger: Logger;
}

export const UPLOAD_PATH = "/upload/";
/** Written at the same time: more would only make all of them slower. */
const UPLOADS_MAX = 64;
const RETRY_AFTER_S = 5;

interface Granted {
  readonly key: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly expiresAtMs: number;
}

export function createUploadDoor(options: UploadDoorOptions): UploadDoor {
  const { objects, url, secret, now, logger } = options;
  const sign = ({ key, sha256, bytes, expiresAtMs }: Granted): Buffer =>
    createHmac("sha256", secret)
      .update(canonicalJson([key, sha256, bytes, expiresAtMs]))
      .digest();
  const places = createPlaces();
  const stats = { refused: 0, slow: 0 };
  const take = async (request: IncomingMessage, granted: Granted): Promise<Received | "torn"> => {
    const watch = whenSlow(request, () => {
      stats.slow++;
      request.destroy(new Error("the upload is too slow"));
    });
    try {
      return await objects().receive(granted, request);
    } catch (error) {
      if (request.errored === null) throw error;
      logger.debug("upload aborted", { reason: messageOf(error) });
      return "torn";
    } finally {
      clearInterval(watch);
    }
  };
  return {
    grant({ key, sha256, bytes, expiresInS }) {
      const expiresAtMs = now() + expiresInS * 1_000;
      const signature = sign({ key, sha256, bytes, expiresAtMs }).toString("hex");
      const headers = {
        "content-length": String(bytes),
        "x-porchlight-sha256": sha256,
        "x-porchlight-expires": String(expiresAtMs),
        "x-porchlight-signature": signature,
      };
      return { url: new URL(`${UPLOAD_PATH.slice(1)}${key}`, folderOf(url())).href, headers };
    },
    async route(request, response) {
      const granted = grantOf(request);
      if (granted === null) return refuse(response, 403, "this was not granted");
      const signature = Buffer.from(String(request.headers["x-porchlight-signature"]), "hex");
      const own = sign(granted);
      if (signature.length !== own.length || !timingSafeEqual(signature, own)) {
        return refuse(response, 403, "this was not granted");
      }
      if (now() > granted.expiresAtMs) return refuse(response, 403, "the grant is over");
      if (request.headers["content-length"] !== String(granted.bytes)) {
        return refuse(response, 400, "another length was granted");
      }
      const leave = places.enter(granted.key);
      if (leave === null) {
        stats.refused++;
        return refuse(response, 503, "too many at once");
      }
      const received = await take(request, granted).finally(leave);
      if (received === "stored") response.writeHead(201).end();
      else if (received === "there") {
        // An authorized request is read to its end, so that the client gets the answer.
        request.resume();
        response.writeHead(412).end("it is there\n");
      } else refuse(response, 400, "these are not the bytes that were granted");
    },
    stats: () => ({ ...stats }),
  };
}

/** As the request says: nothing of it is believed before the signature is right. */
function grantOf(request: IncomingMessage): Granted | null {
  const { headers } = request;
  const path = pathOf(request);
  const bytes = Number(headers["content-length"]);
  const expiresAtMs = Number(headers["x-porchlight-expires"]);
  if (![bytes, expiresAtMs].every(Number.isSafeInteger)) return null;
  return {
    key: path.slice(path.indexOf(UPLOAD_PATH) + UPLOAD_PATH.length),
    sha256: String(headers["x-porchlight-sha256"]),
    bytes,
    expiresAtMs,
  };
}

/** Uploads under way: limited in all and for each device, and each object once. */
function createPlaces(): { enter(key: string): (() => void) | null } {
  const keys = new Map<string, string>();
  return {
    enter(key) {
      const device = deviceOfKey(key);
      const own = [...keys.values()].filter((each) => each === device).length;
      const full = keys.size >= UPLOADS_MAX || own >= UPLOADS_PER_DEVICE_MAX;
      if (full || keys.has(key)) return null;
      keys.set(key, device);
      return () => void keys.delete(key);
    },
  };
}

/** Looks whether a request brings too little: others wait for its place. */
function whenSlow(request: IncomingMessage, slow: () => void): NodeJS.Timeout {
  const { socket } = request;
  let before = socket.bytesRead;
  return setInterval(() => {
    const bytes = socket.bytesRead - before;
    before = socket.bytesRead;
    if ((bytes * 1_000) / UPLOAD_GRACE_MS < UPLOAD_BYTES_PER_S_MIN) slow();
  }, UPLOAD_GRACE_MS);
}

/** The rest of the body is not read: the connection ends with the answer. */
function refuse(response: ServerResponse, status: number, why: string): void {
  const later = status === 503 ? { "retry-after": String(RETRY_AFTER_S) } : {};
  response.writeHead(status, { connection: "close", ...later }).end(`${why}\n`);
}

function folderOf(url: string): string {
  return url.endsWith("/") ? url : `${url}/`;
}
