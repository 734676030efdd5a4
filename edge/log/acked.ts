import { z } from "zod";
import { type Cursor, cursorSchema } from "../../shared/log/cursor.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { Database } from "../sqlite/database.ts";

/** The acknowledged cursor: how far the centre holds the log, a cache of its last ack. */
export interface Acked {
  readonly cursor: Cursor;
  /** When it was acknowledged: wall clock, ms since the epoch. */
  readonly at: number;
}

export interface AckedStore {
  read(): Acked | null;
  /**
   * On a full disk it is kept in memory and not written: it is only a cache, and an agent that
   * restarts from an older cursor learns from the centre that it has the rest.
   */
  write(acked: Acked): void;
}

const row = cursorSchema.extend({ at: z.int() });

export function createAckedStore(database: Database): AckedStore {
  const select = database.prepare("SELECT log, seq, hash, at FROM acked");
  const upsert = database.prepare(
    `INSERT INTO acked (id, log, seq, hash, at) VALUES (1, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE
     SET log = excluded.log, seq = excluded.seq, hash = excluded.hash, at = excluded.at`,
  );
  let unwritten: Acked | null = null;
  return {
    read() {
      if (unwritten !== null) return unwritten;
      const stored = row.optional().parse(select.get());
      if (stored === undefined) return null;
      const { at, ...cursor } = stored;
      return { cursor, at };
    },
    write(acked) {
      const { log, seq, hash } = acked.cursor;
      try {
        upsert.run(log, seq, hash, acked.at);
        unwritten = null;
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        unwritten = acked;
      }
    },
  };
}
