/** Opens an object that a device has brought, where its owner has released what opens it. */
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { unsealObject } from "../../shared/log/seal.ts";
import { UPLOAD_BYTES_MAX } from "../../shared/protocol/wire.ts";
import type { OpenPersonal } from "../keyring/keyring.ts";
import { mediaKey } from "../objects/media-key.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import type { Database } from "../postgres/database.ts";
import { tableExists } from "./table-exists.ts";

export interface OpenMediaParts {
  readonly database: Pick<Database, "query">;
  readonly objects: Pick<ObjectStore, "get">;
  readonly open: OpenPersonal;
}

export interface OpenedMedia {
  readonly media: string;
  readonly content: Buffer;
}

/**
 * Why a snapshot cannot be opened: there is none or several such, it was not uploaded, or its key
 * is not released.
 */
export type Closed = "unknown" | "missing" | "sealed";

const FIND = `SELECT media, device, sha256, log, seq FROM porchlight_read.media
  WHERE media::text LIKE $1 AND erased_at IS NULL LIMIT 2`;
const ENTRY = `SELECT body, type, subject FROM event_log
  WHERE log = $1 AND seq = $2 AND type = 'media.captured' AND body IS NOT NULL`;

const foundRows = z.array(
  z.object({
    media: z.string(),
    device: z.string(),
    sha256: z.string(),
    log: z.string(),
    seq: z.bigint().transform(Number),
  }),
);
const entryRows = z.array(
  z.object({ body: z.string(), type: z.string(), subject: z.string().nullable() }),
);
const bodySchema = z.object({ sealed: z.object({ media: z.string() }) });
const contentSchema = z.object({ digest: z.string(), key: z.base64() });

/** By its id, or by an unambiguous start of it. Throws `seal.broken`. */
export async function openMedia(
  parts: OpenMediaParts,
  idOrPrefix: string,
): Promise<OpenedMedia | Closed> {
  const { database, objects, open } = parts;
  if (!/^[0-9a-f-]{4,36}$/.test(idOrPrefix)) return "unknown";
  if (!(await tableExists(database, "media"))) return "unknown";
  const found = foundRows.parse(await database.query(FIND, [`${idOrPrefix}%`]));
  const [item] = found;
  if (item === undefined || found.length > 1) return "unknown";
  const { media, device, sha256, log, seq } = item;
  const [entry] = entryRows.parse(await database.query(ENTRY, [log, seq]));
  if (entry === undefined || entry.subject === null) return "sealed";
  const { sealed } = bodySchema.parse(JSON.parse(entry.body));
  const { type, subject } = entry;
  const plain = await open({ log, seq, type, subject, class: "media" }, sealed.media);
  if (plain === null) return "sealed";
  const stream = await objects.get(mediaKey(device, sha256));
  if (stream === null) return "missing";
  const { key, digest } = contentSchema.parse(JSON.parse(plain.toString("utf8")));
  const content = unsealObject(Buffer.from(key, "base64"), media, await all(stream));
  if (createHash("sha256").update(content).digest("hex") === digest) return { media, content };
  throw new PorchlightError(
    "media.other",
    `the object of ${media} does not match the hash in the log`,
    {
      hint: "look at the log of that device: porchlight-cloud log verify",
    },
  );
}

async function all(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    const buffer = Buffer.from(part);
    bytes += buffer.length;
    if (bytes > UPLOAD_BYTES_MAX) {
      stream.destroy();
      throw new PorchlightError("media.large", "the object is larger than any that is accepted", {
        hint: "look at the log of that device: porchlight-cloud log verify",
      });
    }
    parts.push(buffer);
  }
  return Buffer.concat(parts);
}
