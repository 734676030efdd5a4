/**
 * Encrypted objects of a backup: gzip, then AES-256-GCM under the backup's key, with the object's
 * own name as additional data, so that none passes for another.
 *
 *     "PLB1" | nonce, 12 bytes | ciphertext | tag, 16 bytes
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { ObjectHead, ObjectStore } from "../objects/object-store.ts";

const MAGIC = Buffer.from("PLB1");
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";
export const KEY_BYTES = 32;

export interface Vessel {
  readonly place: string;
  open(): Promise<void>;
  put(name: string, content: Buffer): Promise<void>;
  /** Throws `backup.damaged` where it is not what was put, `backup.missing` where it is gone. */
  get(name: string): Promise<Buffer>;
  has(name: string): Promise<boolean>;
  delete(name: string): Promise<void>;
  list(prefix: string): AsyncGenerator<ObjectHead>;
  close(): void;
}

const pack = promisify(gzip);
const unpack = promisify(gunzip);

export function createVessel(objects: ObjectStore, key: Buffer): Vessel {
  return {
    place: objects.place,
    open: () => objects.open(),
    async put(name, content) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(name));
      const sealed = [cipher.update(await pack(content, { level: 1 })), cipher.final()];
      await objects.put(name, Buffer.concat([MAGIC, nonce, ...sealed, cipher.getAuthTag()]));
    },
    async get(name) {
      const found = await objects.get(name);
      if (found === null) throw missing(name, objects.place);
      const bytes = await buffer(found);
      try {
        return await unpack(opened(name, bytes, key));
      } catch (cause) {
        const text = `${name} in ${objects.place} is not what was written there, or of another key`;
        throw new PorchlightError("backup.damaged", text, {
          hint: "is backup.key the key that it was made with? else take another: porchlight-cloud backup list",
          cause,
        });
      }
    },
    has: async (name) => (await objects.head(name)) !== null,
    delete: (name) => objects.delete(name),
    list: (prefix) => objects.list(prefix),
    close: () => objects.close(),
  };
}

function opened(name: string, bytes: Buffer, key: Buffer): Buffer {
  const begins = MAGIC.length + NONCE_BYTES;
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error("no object of a backup");
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(MAGIC.length, begins));
  decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(begins, -TAG_BYTES)), decipher.final()]);
}

function missing(name: string, place: string): PorchlightError {
  return new PorchlightError("backup.missing", `${name} is not in ${place}`, {
    hint: "see what is: porchlight-cloud backup list",
  });
}
