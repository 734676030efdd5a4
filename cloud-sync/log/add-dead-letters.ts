/** Dead letters on their way in: messages that are no batch, each device's within its quota. */
import { z } from "zod";
import { plainLine } from "../../shared/core/printable.ts";
import { type Cursor, hashSchema } from "../../shared/log/cursor.ts";
import type { Database } from "../postgres/database.ts";

export interface Letter {
  readonly device: string;
  readonly reason: string;
  readonly payload: Buffer;
}

export interface KeptLetter {
  /** False when the device has too many. */
  readonly stored: boolean;
  /** How far the newest log of its device is here; null when it has none. */
  readonly newest: Cursor | null;
}

/** A device that sends garbage fills its own quota of dead letters, and not the disk. */
export const LETTERS_PER_DEVICE_MAX = 1_000;
export const LETTER_BYTES_PER_DEVICE_MAX = 16 * 1024 * 1024;

/** The size of a payload that is kept elsewhere is read without it (TOAST). */
const STATE = `SELECT device, held.letters, held.bytes, newest.log, newest.seq, newest.hash
  FROM unnest($1::uuid[]) AS device
  CROSS JOIN LATERAL (
    SELECT count(*) AS letters, coalesce(sum(bytes), 0)::bigint AS bytes FROM (
      SELECT octet_length(payload) AS bytes FROM dead_letters
      WHERE dead_letters.device = device.device ORDER BY id DESC LIMIT ${LETTERS_PER_DEVICE_MAX}
    ) AS kept) AS held
  LEFT JOIN LATERAL (
    SELECT log, head_seq AS seq, head_hash AS hash FROM logs WHERE logs.device = device.device
    ORDER BY created_at DESC, log LIMIT 1) AS newest ON true`;
const ADD = `INSERT INTO dead_letters (device, reason, payload)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[])`;

const integer = z.bigint().transform(Number);
const states = z.array(
  z
    .object({
      device: z.string(),
      letters: integer,
      bytes: integer,
      log: z.string().nullable(),
      seq: integer.nullable(),
      hash: z
        .instanceof(Buffer)
        .transform((bytes) => bytes.toString("hex"))
        .pipe(hashSchema)
        .nullable(),
    })
    .transform(({ device, letters, bytes, log, seq, hash }) => {
      const known = log !== null && seq !== null && hash !== null;
      return { device, letters, bytes, newest: known ? { log, seq, hash } : null };
    }),
);

/** In the order in which they came; what has become of each. */
export async function addDeadLetters(
  database: Pick<Database, "query">,
  letters: readonly Letter[],
): Promise<readonly KeptLetter[]> {
  const devices = [...new Set(letters.map(({ device }) => device))];
  const rows = states.parse(await database.query(STATE, [devices]));
  const held = new Map(rows.map((row) => [row.device, { ...row }]));
  const kept = letters.map(({ device, payload }): KeptLetter => {
    const own = held.get(device);
    if (own === undefined) return { stored: false, newest: null };
    const fits = own.bytes + payload.length <= LETTER_BYTES_PER_DEVICE_MAX;
    const stored = fits && own.letters < LETTERS_PER_DEVICE_MAX;
    if (stored) own.letters++;
    if (stored) own.bytes += payload.length;
    return { stored, newest: own.newest };
  });
  const added = letters.filter((_, i) => kept[i]?.stored === true);
  if (added.length === 0) return kept;
  await database.query(ADD, [
    added.map(({ device }) => device),
    added.map(({ reason }) => plainLine(reason)),
    added.map(({ payload }) => payload),
  ]);
  return kept;
}
