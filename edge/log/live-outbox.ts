/** The messages that wait to be sent at once: written with their entries, taken by the agent. */
import { z } from "zod";
import type { Clock } from "../../shared/core/clock.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { Database } from "../sqlite/database.ts";

export interface LiveRow {
  /** Of the entry it is about. */
  readonly position: number;
  readonly channel: "ring" | "visitor";
  readonly payload: string;
  /** Expired; the log has the entry. */
  readonly stale: boolean;
}

export interface LiveOutbox {
  /** In the order of their entries. */
  read(): readonly LiveRow[];
  /** A full disk takes not even a deletion: then the row is hidden, and removed by a later call. */
  remove(position: number): void;
  /** Drops what has expired. */
  prune(): void;
  /** Removes what is about these people or visits. */
  removeAbout(subjects: readonly string[]): void;
}

/**
 * The lifetime of a notification: a minute after a press no visitor is at the door, and what was
 * then is history, which the log has.
 */
export const LIVE_AGE_MAX_MS = 60_000;

const rows = z.array(
  z.object({
    position: z.int(),
    channel: z.enum(["ring", "visitor"]),
    at: z.int(),
    monotonic_ms: z.int(),
    payload: z.string(),
  }),
);

export function createLiveOutbox(database: Database, clock: Clock): LiveOutbox {
  const select = database.prepare(
    "SELECT position, channel, at, monotonic_ms, payload FROM live ORDER BY position",
  );
  const remove = database.prepare("DELETE FROM live WHERE position = ?");
  const removeAbout = database.prepare(
    `DELETE FROM live WHERE json_extract(payload, '$.person') = @subject
       OR json_extract(payload, '$.visit') = @subject`,
  );
  const unremoved = new Set<number>();
  const removeRow = (position: number): void => {
    try {
      remove.run(position);
      unremoved.delete(position);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      unremoved.add(position);
    }
  };
  const read = (): LiveRow[] => {
    for (const position of unremoved) removeRow(position);
    const waiting = rows.parse(select.all()).filter(({ position }) => !unremoved.has(position));
    return waiting.map(({ position, channel, payload, at, monotonic_ms }) => {
      // Both clocks must call it young: one may be set, the other begins anew with the machine.
      const up = clock.monotonicMs() - monotonic_ms;
      const stale = up < 0 || up > LIVE_AGE_MAX_MS || Math.abs(clock.now() - at) > LIVE_AGE_MAX_MS;
      return { position, channel, payload, stale };
    });
  };
  return {
    read,
    remove: removeRow,
    prune() {
      for (const { position, stale } of read()) if (stale) removeRow(position);
    },
    removeAbout: database.transaction((subjects: readonly string[]) => {
      for (const subject of subjects) removeAbout.run({ subject });
    }),
  };
}
