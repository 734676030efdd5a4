import { z } from "zod";
import { type Cursor, cursorSchema } from "../../shared/log/cursor.ts";
import { bodyEnding } from "../../shared/log/entry.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { Database } from "../sqlite/database.ts";

/** Up to where the objects of the log are in the centre of a site. */
export interface UploadedStore {
  read(): Cursor | null;
  /** On a full disk it is not written: then grants are requested again for some objects. */
  write(cursor: Cursor): void;
  /** Entries after it that announce an object. Reads the rest of the log: for a person who asks. */
  waiting(): number;
}

export function createUploadedStore(database: Database, site: string): UploadedStore {
  const select = database.prepare("SELECT log, seq, hash FROM site_uploaded WHERE site = ?");
  const upsert = database.prepare(
    `INSERT INTO site_uploaded (site, log, seq, hash) VALUES (?, ?, ?, ?)
     ON CONFLICT (site) DO UPDATE SET log = excluded.log, seq = excluded.seq, hash = excluded.hash`,
  );
  const count = database
    .prepare<{ log: string; seq: number; end: string }, unknown>(
      `SELECT count(*) FROM entries WHERE substr(body, -length(@end)) = @end AND position >
         coalesce((SELECT first_position + @seq - 1 FROM logs WHERE uuid = @log), 0)`,
    )
    .pluck();
  const read = (): Cursor | null => cursorSchema.optional().parse(select.get(site)) ?? null;
  return {
    read,
    write({ log, seq, hash }) {
      try {
        upsert.run(site, log, seq, hash);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
      }
    },
    waiting() {
      const { log, seq } = read() ?? { log: "", seq: 0 };
      return z.int().parse(count.get({ log, seq, end: bodyEnding("media.captured") }));
    },
  };
}
