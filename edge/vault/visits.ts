/** Visits: who was at the door and when, a projection of the log into the vault. */
import { z } from "zod";
import {
  type Decision,
  decisionSchema,
  type KnownEntry,
  type Outcome,
} from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { Projection } from "./projection-runner.ts";

export interface Visit {
  readonly id: string;
  readonly camera: string;
  readonly startedAtMs: number;
  readonly clock: "synced" | "unsynced";
  readonly endedAtMs: number | null;
  readonly durationMs: number | null;
  readonly frames: number | null;
  readonly outcome: Outcome | null;
  readonly person: string | null;
  /** The last decision; earlier ones stand in the log. */
  readonly decision: Decision | null;
  readonly seq: number;
  /** The entry of that decision, which holds the sealed crops of the visit. */
  readonly decidedSeq: number | null;
}

export interface Visits extends Projection<KnownEntry> {
  /** Newest first. */
  list(limit: number): readonly Visit[];
  /** By its id, or by an unambiguous start of it. */
  find(idOrPrefix: string): Visit | null;
  /** Visits that have not ended: of a running daemon, or of one that was cut off. */
  open(): readonly Visit[];
  /** Visits that began or changed after this entry, oldest first. */
  changedAfter(seq: number): readonly Visit[];
  count(): number;
}

const visitRow = z
  .object({
    id: z.string(),
    camera: z.string(),
    started_at: z.int(),
    clock: z.enum(["synced", "unsynced"]),
    ended_at: z.int().nullable(),
    duration_ms: z.int().nullable(),
    frames: z.int().nullable(),
    outcome: z.enum(["known", "unknown", "ambiguous", "unusable"]).nullable(),
    person: z.string().nullable(),
    decision: z.string().nullable(),
    seq: z.int(),
    decided_seq: z.int().nullable(),
  })
  .transform(
    (row): Visit => ({
      id: row.id,
      camera: row.camera,
      startedAtMs: row.started_at,
      clock: row.clock,
      endedAtMs: row.ended_at,
      durationMs: row.duration_ms,
      frames: row.frames,
      outcome: row.outcome,
      person: row.person,
      decision: row.decision === null ? null : decisionSchema.parse(JSON.parse(row.decision)),
      seq: row.seq,
      decidedSeq: row.decided_seq,
    }),
  );

export function createVisits(vault: Database): Visits {
  const many = (sql: string, ...parameters: unknown[]): Visit[] =>
    z.array(visitRow).parse(vault.prepare(`SELECT * FROM visits ${sql}`).all(...parameters));
  return {
    name: "visits",
    apply: (entry) => applyToVisits(vault, entry),
    reset: () => void vault.exec("DELETE FROM visits"),
    list: (limit) => many("ORDER BY seq DESC LIMIT ?", limit),
    find(idOrPrefix) {
      if (!/^[0-9a-f-]{4,36}$/.test(idOrPrefix)) return null;
      const found = many("WHERE id >= ? AND id < ? LIMIT 2", idOrPrefix, `${idOrPrefix}g`);
      return found.length === 1 ? (found[0] ?? null) : null;
    },
    open: () => many("WHERE ended_at IS NULL ORDER BY seq"),
    changedAfter: (seq) => many("WHERE changed_seq > ? ORDER BY changed_seq", seq),
    count: () =>
      z.object({ n: z.int() }).parse(vault.prepare("SELECT count(*) AS n FROM visits").get()).n,
  };
}

function applyToVisits(vault: Database, entry: KnownEntry): void {
  if (entry.type === "visit.started") {
    vault
      .prepare(
        `INSERT OR IGNORE INTO visits (id, camera, started_at, clock, seq, changed_seq)
         VALUES (?, ?, ?, ?, ?, ?)`,
      )
      .run(entry.data.visit, entry.data.camera, entry.at, entry.clock, entry.seq, entry.seq);
  } else if (entry.type === "visit.recognised") {
    const { decision, revision, visit } = entry.data;
    vault
      .prepare(
        `UPDATE visits SET outcome = ?, person = ?, revision = ?, decision = ?, decided_seq = ?,
           changed_seq = ? WHERE id = ?`,
      )
      .run(
        decision.outcome,
        decision.person,
        revision,
        JSON.stringify(decision),
        entry.seq,
        entry.seq,
        visit,
      );
  } else if (entry.type === "visit.ended") {
    const { durationMs, frames, outcome, visit } = entry.data;
    vault
      .prepare(
        `UPDATE visits SET ended_at = ?, duration_ms = ?, frames = ?, outcome = ?, changed_seq = ?
         WHERE id = ?`,
      )
      .run(entry.at, durationMs, frames, outcome, entry.seq, visit);
  }
}
