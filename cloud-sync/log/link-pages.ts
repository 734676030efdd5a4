/** A log's entries as they are verified and exported: what left the database, too. */
import { z } from "zod";
import type { Link } from "../../shared/log/chain.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { Database } from "../postgres/database.ts";
import type { ArchiveReader } from "./event-log.ts";

/** Pages of a log after a place, up to its head. */
export type LinkPages = (
  head: Cursor,
  after: number,
  archived: ArchiveReader | undefined,
) => AsyncGenerator<readonly LinkRow[]>;

const PAGE_ENTRIES = 1_000;
const numberColumn = z.bigint().transform(Number);
/** Of what is compared anyway. */
const hexColumn = z.instanceof(Buffer).transform((bytes) => bytes.toString("hex"));

const nextRow = z.tuple([z.object({ next: numberColumn.nullable() })]);
const linkRows = z.array(
  z.object({
    seq: numberColumn,
    hash: hexColumn,
    body: z.string().nullable(),
    kept: z.instanceof(Buffer).nullable(),
  }),
);
export type LinkRow = z.infer<typeof linkRows>[number];

const deadLetterRows = z.array(z.object({ seq: numberColumn, payload: z.instanceof(Buffer) }));

/** By their range: without statistics, a limit alone sorts all that is after it. */
const LINKS = `SELECT e.seq, e.hash, e.body, d.payload AS kept
  FROM event_log e LEFT JOIN dead_letters d ON d.log = e.log AND d.seq = e.seq
  WHERE e.log = $1 AND e.seq > $2 AND e.seq <= $2::bigint + ${PAGE_ENTRIES} ORDER BY e.seq`;
/** Behind what was archived. */
const NEXT = "SELECT min(seq) AS next FROM event_log WHERE log = $1 AND seq > $2";
const DEAD_LETTERS_BETWEEN = `SELECT seq, payload FROM dead_letters
  WHERE log = $1 AND seq BETWEEN $2 AND $3 AND payload IS NOT NULL`;

export function createLinkPages(database: Pick<Database, "query">): LinkPages {
  /** Pages from elsewhere as they were here: what was a dead letter of them still is. */
  const pagesAway = async function* (
    log: string,
    links: AsyncIterable<readonly Link[]>,
  ): AsyncGenerator<readonly LinkRow[]> {
    for await (const page of links) {
      const range = [log, page.at(0)?.seq ?? 0, page.at(-1)?.seq ?? 0];
      const rows = deadLetterRows.parse(await database.query(DEAD_LETTERS_BETWEEN, range));
      const payloads = new Map(rows.map(({ seq, payload }) => [seq, payload]));
      yield page.map((link) => ({ ...link, kept: payloads.get(link.seq) ?? null }));
    }
  };
  return async function* (
    { log, seq: head }: Cursor,
    after: number,
    archived: ArchiveReader | undefined,
  ): AsyncGenerator<readonly LinkRow[]> {
    const read = async (seq: number): Promise<readonly LinkRow[]> =>
      linkRows.parse(await database.query(LINKS, [log, seq]));
    let ahead = read(after);
    for (let seq = after; ; ) {
      let page = await ahead;
      if (page.length === 0) {
        const [{ next }] = nextRow.parse(await database.query(NEXT, [log, seq]));
        if (next !== null) page = await read(next - 1);
      }
      const first = page.at(0)?.seq ?? head + 1;
      if (first > seq + 1 && archived !== undefined) {
        yield* pagesAway(log, archived(log, seq, first));
      }
      const last = page.at(-1);
      if (last === undefined) return;
      // The next page is read while this one is hashed; a failure is thrown when it is asked for.
      ahead = read(last.seq);
      ahead.catch(() => undefined);
      yield page;
      seq = last.seq;
    }
  };
}
