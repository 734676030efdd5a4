/**
 * Age of what stands in the log, a projection of it. A clock may have been wrong for a while, so an
 * entry is as old as the earliest time that it or one after it has; and where no clock was ever set, as
 * the machine has been running since.
 */
import { z } from "zod";
import type { Clock } from "../../shared/core/clock.ts";
import type { Entry, KnownEntry } from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { Projection } from "./projection-runner.ts";

/** Everything up to and with this place is older. */
export interface AgeBoundary {
  readonly id: number;
  readonly log: string;
  readonly seq: number;
}

export interface Ages extends Projection<KnownEntry> {
  /** The youngest place that is known to be older than this; null where none is. */
  olderThan(ageMs: number): AgeBoundary | null;
}

export interface AgesParts {
  readonly vault: Database;
  readonly clock: Clock;
  readonly clockState: (nowMs: number) => Entry["clock"];
}

/** What is asked for are days. */
const STEP_MS = 3_600_000;
/** A page less for most entries; so much uptime is lost with a start of the machine. */
const WRITE_EVERY_MS = 600_000;
/** A clock that calls it earlier than the first version of this program was never set. */
const EARLIEST_MS = Date.UTC(2025, 0, 1);

/** No log has so many: everything of it. */
const SEQ_MAX = 2 ** 40;

const ageRow = z.object({
  log: z.string(),
  uptime_ms: z.int(),
  at: z.int().nullable(),
});
const uptimeRow = z.object({ uptime_ms: z.int(), monotonic_ms: z.int() });
const boundaryRow = z.object({ id: z.int(), log: z.string(), seq: z.int() });

export function createAges({ vault, clock, clockState }: AgesParts): Ages {
  const sql = prepare(vault);
  const lastUptime = () => uptimeRow.optional().parse(sql.uptime.get());
  const uptimeAt = (monotonicMs: number, last = lastUptime()): number => {
    if (last === undefined) return 0;
    // Since the machine was started anew, if its clock began anew.
    const since = monotonicMs - last.monotonic_ms;
    return last.uptime_ms + (since >= 0 ? since : monotonicMs);
  };
  return {
    name: "ages",
    apply(entry) {
      const { log, seq, monotonicMs } = entry;
      const at = entry.clock === "synced" && entry.at >= EARLIEST_MS ? entry.at : null;
      const before = lastUptime();
      const uptimeMs = uptimeAt(monotonicMs, before);
      const since = monotonicMs - (before?.monotonic_ms ?? Number.POSITIVE_INFINITY);
      if (!(since >= 0 && since < WRITE_EVERY_MS)) sql.moveUptime.run(uptimeMs, monotonicMs);
      if (at !== null) sql.lower.run(at, at);
      const last = ageRow.optional().parse(sql.last.get());
      if (last === undefined || beginsStep(last, { log, uptimeMs, at })) {
        sql.insert.run(log, seq, uptimeMs, at);
      }
      if (entry.type === "visit.started") sql.visit.run(entry.data.visit);
    },
    reset: () => void vault.exec("DELETE FROM visit_ages; DELETE FROM uptime; DELETE FROM ages"),
    olderThan(ageMs) {
      const nowMs = clock.now();
      const isSet = clockState(nowMs) === "synced" && nowMs >= EARLIEST_MS;
      // The whole step has to be older, not where it begins.
      const before = isSet ? nowMs - ageMs - STEP_MS : 0;
      const upBefore = uptimeAt(clock.monotonicMs()) - ageMs - STEP_MS;
      return boundaryRow.optional().parse(sql.older.get(before, upBefore)) ?? null;
    },
  };
}

function beginsStep(
  last: z.infer<typeof ageRow>,
  now: { readonly log: string; readonly uptimeMs: number; readonly at: number | null },
): boolean {
  if (last.log !== now.log || now.uptimeMs - last.uptime_ms >= STEP_MS) return true;
  return now.at !== null && last.at !== null && now.at - last.at >= STEP_MS;
}

function prepare(vault: Database) {
  return {
    uptime: vault.prepare("SELECT uptime_ms, monotonic_ms FROM uptime"),
    moveUptime: vault.prepare("INSERT OR REPLACE INTO uptime VALUES (1, ?, ?)"),
    // They never fall, so all that are later are the last ones.
    lower: vault.prepare(
      `UPDATE ages SET at = ? WHERE id >
         coalesce((SELECT id FROM ages WHERE at <= ? ORDER BY id DESC LIMIT 1), 0)`,
    ),
    last: vault.prepare("SELECT log, uptime_ms, at FROM ages ORDER BY id DESC LIMIT 1"),
    insert: vault.prepare("INSERT INTO ages (log, seq, uptime_ms, at) VALUES (?, ?, ?, ?)"),
    visit: vault.prepare("INSERT OR IGNORE INTO visit_ages SELECT ?, max(id) FROM ages"),
    older: vault.prepare(
      `SELECT id, log, coalesce(
           (SELECT seq - 1 FROM ages n WHERE n.id = a.id + 1 AND n.log = a.log), ${SEQ_MAX}) AS seq
         FROM ages a WHERE at < ? OR uptime_ms < ? ORDER BY id DESC LIMIT 1`,
    ),
  };
}
