import { z } from "zod";
import type { Witness } from "../../shared/log/chain.ts";
import { type Cursor, cursorSchema } from "../../shared/log/cursor.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { Database } from "../sqlite/database.ts";

/** The name of a site that signs nothing: its bundle is of an earlier version. */
export const UNSIGNED_SITE = "";

/** The acknowledged cursor: how far a site holds the log, a cache of its last ack. */
export interface Acked {
  readonly cursor: Cursor;
  /** When it was acknowledged: wall clock, ms since the epoch. */
  readonly at: number;
}

export interface AckedStore {
  read(): Acked | null;
  /**
   * On a full disk it is kept in memory and not written: it is only a cache, and whoever restarts
   * from an older cursor learns from the centre that it has the rest.
   */
  write(acked: Acked): void;
  /** Why nothing is sent any more; null where all is well. */
  halted(): string | null;
  /** The same on a full disk: it is found out again. */
  halt(reason: string | null): void;
}

const row = cursorSchema.extend({ at: z.int() });

/** What this site has acknowledged: its name is the SHA-256 of its signing key, or UNSIGNED_SITE. */
export function createAckedStore(database: Database, site: string): AckedStore {
  const select = database.prepare("SELECT log, seq, hash, at FROM site_acked WHERE site = ?");
  const upsert = database.prepare(
    `INSERT INTO site_acked (site, log, seq, hash, at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (site) DO UPDATE
     SET log = excluded.log, seq = excluded.seq, hash = excluded.hash, at = excluded.at`,
  );
  const selectHalt = database.prepare("SELECT reason FROM site_halted WHERE site = ?").pluck();
  const halt = database.prepare("INSERT OR REPLACE INTO site_halted VALUES (?, ?)");
  const resume = database.prepare("DELETE FROM site_halted WHERE site = ?");
  let unwritten: Acked | null = null;
  return {
    read() {
      if (unwritten !== null) return unwritten;
      const stored = row.optional().parse(select.get(site));
      if (stored === undefined) return null;
      const { at, ...cursor } = stored;
      return { cursor, at };
    },
    write(acked) {
      const { log, seq, hash } = acked.cursor;
      unwritten = acked;
      if (wasWritten(() => upsert.run(site, log, seq, hash, acked.at))) unwritten = null;
    },
    halted: () => z.string().optional().parse(selectHalt.get(site)) ?? null,
    halt(reason) {
      wasWritten(() => (reason === null ? resume.run(site) : halt.run(site, reason)));
    },
  };
}

/** What every site has acknowledged, also those that were left, as witnesses of the log. */
export function ackedWitnesses(database: Database): Witness[] {
  const rows = database
    .prepare("SELECT site, log, seq, hash FROM site_acked WHERE seq > 0 ORDER BY at DESC")
    .all();
  const acked = z.array(cursorSchema.extend({ site: z.string() })).parse(rows);
  return acked.map(({ site, ...place }) => ({
    ...place,
    from: site === UNSIGNED_SITE ? "the centre (unsigned)" : `the centre ${site.slice(0, 16)}`,
  }));
}

function wasWritten(write: () => unknown): boolean {
  try {
    write();
    return true;
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    return false;
  }
}
