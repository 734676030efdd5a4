/** The key outbox: keys that the daemon has wrapped for the centre, and the agent sends. */
import { z } from "zod";
import type { Clock } from "../../shared/core/clock.ts";
import { PERSONAL_CLASSES, type PersonalClass } from "../../shared/log/entry.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { Database } from "../sqlite/database.ts";

export interface KeyName {
  readonly subject: string;
  readonly class: PersonalClass;
}

export interface HandedOver extends KeyName {
  /** SHA-256 of the public key that it is wrapped for. */
  readonly site: string;
  readonly wrapped: Buffer;
}

/** A released or revoked key, to be sent to the centre. */
export interface QueuedKey extends KeyName {
  readonly site: string;
  readonly number: number;
  /** Null: it is taken back. */
  readonly wrapped: Buffer | null;
}

export interface KeyOutbox {
  /** Every key that was handed over, and for which site; null: it is being taken back. */
  all(): readonly (KeyName & { readonly site: string | null })[];
  /** Keys in the outbox. */
  waiting(): number;
  /** Replaces the entries of these keys. */
  handOver(keys: readonly HandedOver[]): void;
  /** Revokes keys: what is wrapped is deleted at once, and the revocation is queued. */
  revoke(keys: readonly KeyName[]): void;
  /** Has everything that the centre holds handed over anew: it may have lost it. */
  requeueAll(): void;
  /** The next keys to be sent, of one site. */
  next(limit: number): readonly QueuedKey[];
  /**
   * Removes keys that the centre has committed. On a full disk that is kept in memory and not
   * written: then some are sent twice.
   */
  settle(rows: readonly QueuedKey[]): void;
}

const personalClass = z.enum(PERSONAL_CLASSES);
const allRows = z.array(
  z.object({ subject: z.string(), class: personalClass, site: z.string().nullable() }),
);
const nextRows = z.array(
  z.object({
    subject: z.string(),
    class: personalClass,
    site: z.string(),
    number: z.int(),
    wrapped: z.instanceof(Buffer).nullable(),
  }),
);

export function createKeyOutbox(database: Database, { now }: Pick<Clock, "now">): KeyOutbox {
  const sql = prepare(database);
  /** Acknowledged, but not written down here. */
  const unwritten = new Set<number>();
  // Higher than all before it, and, where the clock is right, than those of a store that was
  // replaced by an older copy of it.
  const nextNumber = (): number => Math.max(z.int().parse(sql.last.get()) + 1, now());
  const revoke = database.transaction((keys: readonly KeyName[]) => {
    for (const key of keys) sql.revoke.run(nextNumber(), key.subject, key.class);
  });
  const handOver = database.transaction((keys: readonly HandedOver[]) => {
    for (const key of keys) {
      sql.put.run(key.subject, key.class, key.site, nextNumber(), key.wrapped);
    }
  });
  const settle = database.transaction((rows: readonly QueuedKey[]) => {
    for (const { subject, class: of, number, wrapped } of rows) {
      (wrapped === null ? sql.forget : sql.hold).run(subject, of, number);
    }
  });
  return {
    all: () => allRows.parse(sql.all.all()),
    waiting: () => z.int().parse(sql.waiting.get()),
    handOver: (keys) => handOver.immediate(keys),
    revoke: (keys) => revoke.immediate(keys),
    requeueAll: () => void sql.requeueAll.run(),
    next(limit) {
      const rows = nextRows
        .parse(sql.next.all(limit + unwritten.size))
        .filter(({ number }) => !unwritten.has(number));
      return rows.filter(({ site }) => site === rows[0]?.site).slice(0, limit);
    },
    settle(rows) {
      try {
        settle.immediate(rows);
        for (const { number } of rows) unwritten.delete(number);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        for (const { number } of rows) unwritten.add(number);
      }
    },
  };
}

function prepare(database: Database) {
  const withdrawn = "held = 0 AND wrapped IS NULL";
  return {
    all: database.prepare(
      `SELECT subject, class, CASE WHEN NOT (${withdrawn}) THEN site END AS site FROM released`,
    ),
    waiting: database.prepare("SELECT count(*) FROM released WHERE held = 0").pluck(),
    last: database.prepare("SELECT coalesce(max(number), 0) FROM released").pluck(),
    put: database.prepare(
      `INSERT INTO released (subject, class, site, number, wrapped) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (subject, class) DO UPDATE
       SET site = excluded.site, number = excluded.number, wrapped = excluded.wrapped, held = 0`,
    ),
    revoke: database.prepare(
      `UPDATE released SET number = ?, wrapped = NULL, held = 0
       WHERE subject = ? AND class = ? AND NOT (${withdrawn})`,
    ),
    // No site is called so: what is for another site than that of now is wrapped anew.
    requeueAll: database.prepare("UPDATE released SET site = '' WHERE held = 1"),
    next: database.prepare(
      `SELECT subject, class, site, number, wrapped FROM released WHERE held = 0
       ORDER BY number LIMIT ?`,
    ),
    hold: database.prepare(
      `UPDATE released SET held = 1, wrapped = NULL
       WHERE subject = ? AND class = ? AND number = ?`,
    ),
    forget: database.prepare("DELETE FROM released WHERE subject = ? AND class = ? AND number = ?"),
  };
}
