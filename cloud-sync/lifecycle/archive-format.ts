/**
 * A month of the log as objects. Each line has all columns of its row: what is brought back is what
 * was taken away, byte for byte.
 *
 *     log/2026-11/manifest.json      what there is: counts, ranges, SHA-256 of each file
 *     log/2026-11/000001.jsonl.gz    one row a line, in the order of positions
 *
 *     {"position":"1","log":…,"seq":1,"hash":…,"body":…|null,"type":…,"at":…,"subject":…,"actor":…,
 *      "receivedUs":"1790000000000000"}\n          µs since 1970
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { hashSchema } from "../../shared/log/cursor.ts";

export const monthSchema = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/);
const whole = z.string().regex(/^\d{1,19}$/);

/** Keys in the order in which they are written. */
const rowSchema = z.strictObject({
  position: whole,
  log: z.uuid(),
  seq: z.int().min(1),
  hash: hashSchema,
  body: z.string().nullable(),
  type: z.string().nullable(),
  at: z.int().nullable(),
  subject: z.uuid().nullable(),
  actor: z.string().nullable(),
  receivedUs: whole,
});
export type ArchivedRow = z.infer<typeof rowSchema>;

const fileSchema = z.strictObject({
  key: z.string(),
  entries: z.int().min(1),
  firstPosition: whole,
  lastPosition: whole,
  bytes: z.int().min(1),
  sha256: hashSchema,
  /** Of the lines, unpacked. */
  linesSha256: hashSchema,
});
export type ArchivedFile = z.infer<typeof fileSchema>;

export const manifestSchema = z.strictObject({
  format: z.literal(1),
  month: monthSchema,
  entries: z.int().min(0),
  firstPosition: whole,
  lastPosition: whole,
  /** Of each log, what of it came in during this month. */
  logs: z.array(z.strictObject({ log: z.uuid(), first: z.int(), last: z.int(), entries: z.int() })),
  files: z.array(fileSchema),
});
export type Manifest = z.infer<typeof manifestSchema>;

export interface PackedFile {
  readonly content: Buffer;
  readonly file: ArchivedFile;
}

const packed = promisify(gzip);
const unpacked = promisify(gunzip);
/** A file has 32 MiB of lines and one entry more: a larger one is not ours. */
const LINES_BYTES_MAX = 64 * 1024 * 1024;

export function folderOf(month: string): string {
  return `log/${month}`;
}

export function manifestKey(month: string): string {
  return `${folderOf(month)}/manifest.json`;
}

export function lineOfRow(row: ArchivedRow): string {
  return `${JSON.stringify(row)}\n`;
}

export function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function packFile(
  month: string,
  number: number,
  rows: readonly ArchivedRow[],
): Promise<PackedFile> {
  const lines = Buffer.from(rows.map(lineOfRow).join(""));
  const content = await packed(lines);
  const key = `${folderOf(month)}/${String(number).padStart(6, "0")}.jsonl.gz`;
  const range = {
    firstPosition: rows.at(0)?.position ?? "0",
    lastPosition: rows.at(-1)?.position ?? "0",
  };
  const sums = { sha256: sha256Of(content), linesSha256: sha256Of(lines) };
  return {
    content,
    file: { key, entries: rows.length, ...range, bytes: content.length, ...sums },
  };
}

/** The rows of a file that is as its manifest says. Throws `archive.broken`. */
export async function unpackFile(
  content: Buffer,
  file: ArchivedFile,
): Promise<readonly ArchivedRow[]> {
  if (sha256Of(content) !== file.sha256) throw broken(file.key, "its bytes are not those written");
  const lines = await unpacked(content, { maxOutputLength: LINES_BYTES_MAX });
  if (sha256Of(lines) !== file.linesSha256)
    throw broken(file.key, "its lines are not those written");
  const rows = lines.toString("utf8").trimEnd().split("\n");
  if (rows.length !== file.entries) throw broken(file.key, "it has another number of entries");
  return rows.map((line) => rowSchema.parse(JSON.parse(line)));
}

export function broken(key: string, why: string): PorchlightError {
  return new PorchlightError("archive.broken", `the archived ${key} is damaged: ${why}`, {
    hint: "archive the month again while the database has it (porchlight-cloud archive create), or restore the object from a backup",
  });
}
