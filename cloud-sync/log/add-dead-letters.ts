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

/** All in one statement: the size of a payload that is kept elsewhere is read without it (TOAST). */
const ADD = `WITH letters AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[]) WITH ORDINALITY
      AS letter (device, reason, payload, place)),
  devices AS (SELECT DISTINCT device FROM letters),
  held AS (
    SELECT device, count(kept.bytes) AS letters, coalesce(sum(kept.bytes), 0) AS bytes
    FROM devices LEFT JOIN LATERAL (
      SELECT octet_length(payload) AS bytes FROM dead_letters
      WHERE dead_letters.device = devices.device ORDER BY id DESC LIMIT ${LETTERS_PER_DEVICE_MAX}
    ) AS kept ON true GROUP BY device),
  counted AS (
    SELECT letters.*, held.letters + row_number() OVER own AS letters,
      held.bytes + sum(octet_length(payload)) OVER own AS bytes
    FROM letters JOIN held USING (device) WINDOW own AS (PARTITION BY device ORDER BY place)),
  taken AS (
    SELECT * FROM counted
    WHERE letters <= ${LETTERS_PER_DEVICE_MAX} AND bytes <= ${LETTER_BYTES_PER_DEVICE_MAX}),
  added AS (
    INSERT INTO dead_letters (device, reason, payload)
    SELECT device, reason, payload FROM taken ORDER BY place)
  SELECT place, place IN (SELECT place FROM taken) AS stored, newest.log, newest.seq, newest.hash
  FROM letters LEFT JOIN LATERAL (
    SELECT log, head_seq AS seq, head_hash AS hash FROM logs WHERE logs.device = letters.device
    ORDER BY created_at DESC, log LIMIT 1) AS newest ON true
  ORDER BY place`;

const rows = z.array(
  z
    .object({
      stored: z.boolean(),
      log: z.string().nullable(),
      seq: z.bigint().transform(Number).nullable(),
      hash: z
        .instanceof(Buffer)
        .transform((bytes) => bytes.toString("hex"))
        .pipe(hashSchema)
        .nullable(),
    })
    .transform(({ stored, log, seq, hash }): KeptLetter => {
      const known = log !== null && seq !== null && hash !== null;
      return { stored, newest: known ? { log, seq, hash } : null };
    }),
);

/** In the order in which they came; what has become of each. */
export async function addDeadLetters(
  database: Pick<Database, "query">,
  letters: readonly Letter[],
): Promise<readonly KeptLetter[]> {
  return rows.parse(
    await database.query(ADD, [
      letters.map(({ device }) => device),
      letters.map(({ reason }) => plainLine(reason)),
      letters.map(({ payload }) => payload),
    ]),
  );
}
