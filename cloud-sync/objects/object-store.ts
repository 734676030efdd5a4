/** Where large things are kept: sealed snapshots and clips, and months of the log. */
import type { Readable } from "node:stream";
import { PorchlightError } from "../../shared/core/errors.ts";

export interface ObjectHead {
  readonly key: string;
  readonly bytes: number;
}

/** An upload grant: one object, once, exactly as it was announced. */
export interface UploadWish {
  readonly key: string;
  /** 64 lowercase hex digits. */
  readonly sha256: string;
  readonly bytes: number;
  readonly expiresInS: number;
}

export interface UploadGrant {
  readonly url: string;
  /** Sent along, all of them and as they are: the signature covers them. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ObjectStore {
  /** For messages; no secret in it. */
  readonly place: string;
  /** Creates what it needs. Throws `objects.unreachable`, or `objects.denied`. */
  open(): Promise<void>;
  /** Resolves when it is durable. The same key again is the new content. */
  put(key: string, content: Buffer): Promise<void>;
  /** Null when there is none. */
  get(key: string): Promise<Readable | null>;
  head(key: string): Promise<ObjectHead | null>;
  /** Nothing there is fine. */
  delete(key: string): Promise<void>;
  /** Every object whose key begins so, in the order of keys. */
  list(prefix: string): AsyncGenerator<ObjectHead>;
  /** Null where only the centre can reach the store. */
  grantPut(wish: UploadWish): Promise<UploadGrant | null>;
  close(): void;
}

/** What both homes can hold: no empty, hidden or climbing part. S3 allows 1,024 bytes. */
const KEY = /^(?!.*\.{2})(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)*[A-Za-z0-9][A-Za-z0-9._-]*$/;
const KEY_CHARACTERS_MAX = 512;

export function checkedKey(key: string): string {
  if (key.length <= KEY_CHARACTERS_MAX && KEY.test(key)) return key;
  throw new PorchlightError("objects.key", `${JSON.stringify(key)} cannot be an object's key`, {
    remedy: "reject",
  });
}
