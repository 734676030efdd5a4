import { createDecipheriv } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

/*
 * A page of SQLCipher 4 (https://www.zetetic.net/sqlcipher/design/): 4,096 bytes,
 *
 *     ciphertext (4,016) ‖ IV (16) ‖ HMAC-SHA512 (64)          AES-256-CBC, no padding
 *
 * where the first 16 bytes of page 1 are the salt. With a raw key the key is used as it is.
 * A frame of the write-ahead log is a header of 24 bytes and a page; the file has one of 32.
 */
const PAGE_BYTES = 4096;
const IV_BYTES = 16;
const RESERVED_BYTES = 80;
const SALT_BYTES = 16;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** Everything that can be read of a file and its write-ahead log by who has the key, free pages too. */
export function plainPages(path: string, key: Uint8Array): Buffer {
  const file = readFileSync(path);
  const wal = existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0);
  const pages: Buffer[] = [];
  for (let at = 0; at + PAGE_BYTES <= file.length; at += PAGE_BYTES) {
    pages.push(decrypt(file.subarray(at, at + PAGE_BYTES), key, at === 0));
  }
  const step = FRAME_HEADER_BYTES + PAGE_BYTES;
  for (let at = WAL_HEADER_BYTES; at + step <= wal.length; at += step) {
    const page = wal.subarray(at + FRAME_HEADER_BYTES, at + step);
    pages.push(decrypt(page, key, wal.readUInt32BE(at) === 1));
  }
  return Buffer.concat(pages);
}

function decrypt(page: Buffer, key: Uint8Array, first: boolean): Buffer {
  const end = PAGE_BYTES - RESERVED_BYTES;
  const decipher = createDecipheriv("aes-256-cbc", key, page.subarray(end, end + IV_BYTES));
  decipher.setAutoPadding(false);
  const ciphertext = page.subarray(first ? SALT_BYTES : 0, end);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}
