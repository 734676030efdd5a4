/**
 * Dead letters: messages and entries that were rejected, and the divergent branches of forked logs.
 */
import { isUtf8 } from "node:buffer";
import { z } from "zod";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { readEntry } from "../../shared/log/entry-bytes.ts";
import { decodeBatch } from "../../shared/protocol/batch.ts";
import type { Connection, Database } from "../postgres/database.ts";
import { LOCK_LOG } from "./append.ts";
import type { CentralLog } from "./event-log.ts";

export interface DeadLetter {
  readonly id: number;
  readonly device: string;
  /** With a seq, a single entry of this log; else null, and the dead letter is a whole message. */
  readonly log: string | null;
  readonly seq: number | null;
  readonly reason: string;
  readonly bytes: number;
  readonly receivedAt: Date;
}

/** A place where a log is forked. */
export interface Fork {
  readonly seq: number;
  /** The hash of the entry that is in the log; null when the log had ended before. */
  readonly stored: string | null;
  readonly other: string;
  readonly receivedAt: Date;
}

export interface LetterPage {
  /** Only those with a higher id. */
  readonly after?: number;
  readonly limit?: number;
}

export interface DeadLetters {
  /** Oldest first, of one device or of all. */
  letters(device?: string, page?: LetterPage): Promise<readonly DeadLetter[]>;
  /** How many there are. */
  count(): Promise<number>;
  /** As it came. Throws `letter.unknown`. */
  payload(id: number): Promise<Buffer>;
  /**
   * Retries: null when it was ingested and is a dead letter no more; else the reason. Throws
   * `letter.archived` when the month with its place lies in the archive alone.
   */
  retry(id: number): Promise<string | null>;
  /** Throws `letter.unknown`. */
  drop(id: number): Promise<void>;
  forks(log: string): Promise<readonly Fork[]>;
}

const LIST = `SELECT id, device, log, seq, reason, octet_length(payload) AS bytes, received_at
  FROM dead_letters WHERE ($1::uuid IS NULL OR device = $1) AND id > $2 ORDER BY id LIMIT $3`;
const COUNT = "SELECT count(*) AS count FROM dead_letters";
const LETTER = "SELECT device, log, seq, payload FROM dead_letters WHERE id = $1";
const DROP = "DELETE FROM dead_letters WHERE id = $1 RETURNING id";
/** Before the lock of the append path: who archives a month may hold this one for minutes. */
const LOCK_ROWS = "LOCK TABLE event_log IN ROW EXCLUSIVE MODE";
/** A new position: who has read past the old one still comes to what was not there. */
const FILL = `UPDATE event_log SET body = $3, type = $4, at = $5, subject = $6, actor = $7,
    position = nextval(pg_get_serial_sequence('event_log', 'position'))
  WHERE log = $1 AND seq = $2 AND body IS NULL RETURNING seq`;
const PLACE = "SELECT body FROM event_log WHERE log = $1 AND seq = $2";
/** Newest first: those from the letter's month on back. A commit may straddle midnight. */
const AWAY = `SELECT month FROM log_archives WHERE dropped_at IS NOT NULL
  ORDER BY month <> to_char((SELECT received_at FROM dead_letters WHERE id = $1) AT TIME ZONE 'UTC',
    'YYYY-MM'), month DESC LIMIT 1`;
const FORKS = `SELECT f.seq, e.hash AS stored, f.hash AS other, f.received_at FROM forks f
  LEFT JOIN event_log e ON e.log = f.log AND e.seq = f.seq WHERE f.log = $1 ORDER BY f.seq`;

/** Of one page: their texts alone are 50 MB. */
const LETTERS_MAX = 100_000;

const integer = z.bigint().transform(Number);
const countRow = z.tuple([z.object({ count: integer })]);
const hex = z.instanceof(Buffer).transform((bytes) => bytes.toString("hex"));
const letterRows = z.array(
  z
    .object({
      id: integer,
      device: z.string(),
      log: z.string().nullable(),
      seq: integer.nullable(),
      reason: z.string(),
      bytes: z.int(),
      received_at: z.date(),
    })
    .transform(({ received_at: receivedAt, ...row }): DeadLetter => ({ ...row, receivedAt })),
);
const placeRow = z.object({ body: z.string().nullable() }).optional();
const monthRow = z.object({ month: z.string() }).optional();
const payloadRow = z.object({
  device: z.string(),
  log: z.string().nullable(),
  seq: integer.nullable(),
  payload: z.instanceof(Buffer),
});
type Letter = z.infer<typeof payloadRow>;
const forkRows = z.array(
  z
    .object({ seq: integer, stored: hex.nullable(), other: hex, received_at: z.date() })
    .transform(({ received_at: receivedAt, ...row }): Fork => ({ ...row, receivedAt })),
);

export function createDeadLetters(
  database: Database,
  log: Pick<CentralLog, "append">,
): DeadLetters {
  const letterOf = async (id: number): Promise<Letter> => {
    const row = payloadRow.optional().parse((await database.query(LETTER, [id]))[0]);
    if (row !== undefined) return row;
    throw new PorchlightError("letter.unknown", `there is no dead letter ${id}`, {
      exitCode: EXIT.notFound,
      hint: "see which there are: porchlight-cloud dead-letters list",
    });
  };
  const drop = async (id: number): Promise<void> => {
    if ((await database.query(DROP, [id])).length === 0) await letterOf(id);
  };
  return {
    letters: async (device, { after = 0, limit = LETTERS_MAX } = {}) =>
      letterRows.parse(await database.query(LIST, [device ?? null, after, limit])),
    count: async () => countRow.parse(await database.query(COUNT))[0].count,
    payload: async (id) => (await letterOf(id)).payload,
    async retry(id) {
      const letter = await letterOf(id);
      const { seq } = letter;
      if (seq !== null) return fillIn(database, { ...letter, id }, seq);
      const problem = await appendAgain(letter, log);
      if (problem === null) await drop(id);
      return problem;
    },
    drop,
    forks: async (id) => forkRows.parse(await database.query(FORKS, [id])),
  };
}

async function appendAgain(
  { device, payload }: Letter,
  log: Pick<CentralLog, "append">,
): Promise<string | null> {
  try {
    const [outcome] = await log.append([{ device, batch: decodeBatch(payload) }]);
    if (outcome === undefined || ["appended", "duplicate"].includes(outcome.kind)) return null;
    return outcome.reason ?? `it does not follow what is here (${outcome.kind})`;
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.remedy !== "reject") throw error;
    return messageOf(error);
  }
}

/**
 * Puts an entry into the place that its log has kept for it, if this version can read it, and
 * deletes the letter with the same commit: it is the only copy until then.
 */
async function fillIn(
  database: Database,
  { id, log, payload }: Letter & { readonly id: number },
  seq: number,
): Promise<string | null> {
  if (!isUtf8(payload)) return "it is not UTF-8";
  const place = Buffer.from(log ?? "", "latin1");
  const { columns, fault } = readEntry(payload, [0, payload.length], place, seq);
  if (columns === null) return fault;
  const { type, at, subject, actor } = columns;
  const body = payload.toString("utf8");
  return database.transaction(async (connection) => {
    await connection.query(LOCK_ROWS);
    await connection.query(LOCK_LOG);
    const filled = await connection.query(FILL, [log, seq, body, type, at, subject, actor]);
    if (filled.length === 0) {
      const there = placeRow.parse((await connection.query(PLACE, [log, seq]))[0]);
      if (there === undefined) throw await archivedLetter(connection, id, seq);
      if (there.body !== body) return `its place, entry ${seq} of ${log}, holds other content`;
    }
    await connection.query(DROP, [id]);
    return null;
  });
}

async function archivedLetter(
  connection: Connection,
  id: number,
  seq: number,
): Promise<PorchlightError> {
  const row = monthRow.parse((await connection.query(AWAY, [id]))[0]);
  const month = row?.month;
  const where = month === undefined ? "is not in the database" : `lies in the archive (${month})`;
  return new PorchlightError("letter.archived", `the place of entry ${seq} ${where}`, {
    hint:
      month === undefined
        ? "see what is missing: porchlight-cloud log verify"
        : `restore the month first: porchlight-cloud archive restore ${month}`,
  });
}
