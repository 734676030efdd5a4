/** Rows of event_log as an archive has them, out of the database and back into it. */
import { z } from "zod";
import { partitionOf } from "../log/partitions.ts";
import type { Connection, Database } from "../postgres/database.ts";
import type { ArchivedRow } from "./archive-format.ts";

const PAGE_ENTRIES = 1_000;
/** The largest entries (896 KiB) would make a page of a gigabyte. */
const PAGE_BYTES = 16 * 1024 * 1024;
const POSITION_MAX = 2n ** 63n - 1n;

const text = z.bigint().transform(String);
const storedRows = z.array(
  z.object({
    position: text,
    log: z.string(),
    seq: z.bigint().transform(Number),
    hash: z.string(),
    body: z.string().nullable(),
    type: z.string().nullable(),
    at: z.bigint().transform(Number).nullable(),
    subject: z.string().nullable(),
    actor: z.string().nullable(),
    receivedUs: text,
  }),
);

function pageOf(month: string): string {
  return `SELECT position, log, seq, encode(hash, 'hex') AS hash, body, type, at, subject, actor,
      (extract(epoch FROM received_at) * 1000000)::bigint AS "receivedUs"
    FROM (SELECT *, sum(octet_length(body)) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED
        PRECEDING AND 1 PRECEDING) AS before
      FROM (SELECT * FROM ${partitionOf(month)} WHERE position > $1 AND position <= $2
        ORDER BY position LIMIT ${PAGE_ENTRIES}) AS page) AS page
    WHERE coalesce(before, 0) < ${PAGE_BYTES} ORDER BY position`;
}

/** Page by page, in the order of positions. */
export async function* readRows(
  database: Pick<Database, "query">,
  month: string,
  range: { readonly after: bigint; readonly upTo: bigint } = { after: -1n, upTo: POSITION_MAX },
): AsyncGenerator<readonly ArchivedRow[]> {
  for (let { after } = range; ; ) {
    const page = storedRows.parse(await database.query(pageOf(month), [after, range.upTo]));
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    after = BigInt(last.position);
  }
}

const INSERT = `INSERT INTO event_log
    (position, log, seq, hash, body, type, at, subject, actor, received_at)
  SELECT position, log, seq, decode(hash, 'hex'), body, type, at, subject, actor,
    timestamptz 'epoch' + received * interval '1 microsecond'
  FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
    $7::bigint[], $8::uuid[], $9::text[], $10::bigint[])
    AS row (position, log, seq, hash, body, type, at, subject, actor, received)`;

export async function insertRows(
  connection: Connection,
  rows: readonly ArchivedRow[],
): Promise<void> {
  for (let from = 0; from < rows.length; from += PAGE_ENTRIES) {
    const page = rows.slice(from, from + PAGE_ENTRIES);
    const column = <K extends keyof ArchivedRow>(name: K) => page.map((row) => row[name]);
    await connection.query(INSERT, [
      column("position"),
      column("log"),
      column("seq"),
      column("hash"),
      column("body"),
      column("type"),
      column("at"),
      column("subject"),
      column("actor"),
      column("receivedUs"),
    ]);
  }
}
