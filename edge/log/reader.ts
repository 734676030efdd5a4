/** Reads every log of a store in the order in which they followed each other. */
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { type Cursor, startOf } from "../../shared/log/cursor.ts";
import type { Database } from "../sqlite/database.ts";
import { entryRow, type StoredEntry } from "./event-log.ts";

/** Entries of one log, following each other from the place `previous` on. */
export interface Page {
  readonly previous: Cursor;
  readonly entries: readonly StoredEntry[];
}

export interface LogReader {
  /** The place before the first entry of the first log. */
  start(): Cursor;
  /** The last entry of the current log. */
  head(): Cursor;
  /** The same place as it stands here: null when this store has no such log or no such entry. */
  find(log: string, seq: number): Cursor | null;
  /** The logs' ids, oldest first. */
  lives(): readonly string[];
  /** The last place of a log that another one follows; null for any other. */
  closedAt(log: string): Cursor | null;
  /**
   * What follows a place, of one log: at the end of a log it goes on with the one after. Empty at
   * the end of the last. Throws `log.place.unknown` where another entry, or none, stands there.
   */
  after(place: Cursor, limit: number): Page;
  /** How many entries follow a place. */
  count(place: Cursor): number;
  /** The bytes of what follows a place, as it would be sent. */
  bytes(place: Cursor): number;
}

const spanRow = z.object({ uuid: z.uuid(), first: z.int(), end: z.int() });
type Span = z.infer<typeof spanRow>;

/** All there is, or only what belongs into the centre: not what was left off for a later log. */
export type Reading = "all" | "sent";

export function createLogReader(database: Database, reading: Reading = "all"): LogReader {
  const { logs, placeIn, from, ends } = createPlaces(database, reading);
  const between = database.prepare(
    `SELECT position, hash, body FROM entries WHERE position >= ? AND position < ?
     ORDER BY position LIMIT ?`,
  );
  const bytesBetween = database
    .prepare(
      `SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) FROM entries
       WHERE position >= ? AND position < ?`,
    )
    .pluck();
  return {
    start: () => startOf(ends()[0].uuid),
    head() {
      const [, last] = ends();
      return placeIn(last, last.end - last.first) ?? startOf(last.uuid);
    },
    find(log, seq) {
      const span = logs().find(({ uuid }) => uuid === log);
      return span === undefined ? null : placeIn(span, seq);
    },
    lives: () => logs().map(({ uuid }) => uuid),
    closedAt(log) {
      const span = logs()
        .slice(0, -1)
        .find(({ uuid }) => uuid === log);
      return span === undefined ? null : placeIn(span, span.end - span.first);
    },
    after(place, limit) {
      const [own, ...later] = from(place);
      const ahead = [{ span: own, previous: place }].concat(
        later.map((span) => ({ span, previous: startOf(span.uuid) })),
      );
      const next = ahead.find(({ span, previous }) => span.first + previous.seq < span.end);
      if (next === undefined) return { previous: place, entries: [] };
      const { span, previous } = next;
      const rows = between.all(span.first + previous.seq, span.end, limit);
      const entries = z.array(entryRow).parse(rows);
      return {
        previous,
        entries: entries.map(({ position, hash, body }) => ({
          log: span.uuid,
          seq: position - span.first + 1,
          hash: hash.toString("hex"),
          body,
        })),
      };
    },
    count(place) {
      const [own, ...later] = from(place);
      const rest = own.end - own.first - place.seq;
      return later.reduce((sum, { first, end }) => sum + end - first, rest);
    },
    bytes(place) {
      const [own, ...later] = from(place);
      const ahead = [{ ...own, first: own.first + place.seq }, ...later];
      return ahead.reduce(
        (sum, { first, end }) => sum + z.int().parse(bytesBetween.get(first, end)),
        0,
      );
    },
  };
}

/** Where the logs of a store begin and end, and what stands at a place. */
function createPlaces(database: Database, reading: Reading) {
  const leftOff = reading === "sent" ? "first_position + kept_to" : "NULL";
  const spans = database.prepare(
    `SELECT uuid, first_position AS first, coalesce(${leftOff},
       lead(first_position) OVER (ORDER BY id),
       (SELECT coalesce(max(position), 0) + 1 FROM entries)
     ) AS end FROM logs ORDER BY id`,
  );
  const hashAt = database.prepare("SELECT hash FROM entries WHERE position = ?").pluck();
  const logs = (): Span[] => z.array(spanRow).parse(spans.all());
  const placeIn = ({ uuid, first, end }: Span, seq: number): Cursor | null => {
    if (seq === 0) return startOf(uuid);
    const position = first + seq - 1;
    if (position >= end) return null;
    const hash = z.instanceof(Buffer).optional().parse(hashAt.get(position));
    return hash === undefined ? null : { log: uuid, seq, hash: hash.toString("hex") };
  };
  return {
    logs,
    placeIn,
    /** The log of this place and those that follow it. */
    from(place: Cursor): [Span, ...Span[]] {
      const all = logs();
      const [own, ...later] = all.slice(all.findIndex(({ uuid }) => uuid === place.log));
      if (own?.uuid !== place.log || placeIn(own, place.seq)?.hash !== place.hash) {
        throw unknownPlace(place);
      }
      return [own, ...later];
    },
    /** The first log and the last. */
    ends(): readonly [Span, Span] {
      const all = logs();
      const [first, last] = [all[0], all.at(-1)];
      if (first !== undefined && last !== undefined) return [first, last];
      throw new PorchlightError("log.empty", "the store holds no log yet", {
        hint: "make one: porchlight init",
      });
    },
  };
}

function unknownPlace({ log, seq, hash }: Cursor): PorchlightError {
  const place = `entry ${seq} (${hash.slice(0, 12)}…) of the log ${log}`;
  return new PorchlightError("log.place.unknown", `this store does not hold ${place}`, {
    hint: "verify the log: porchlight log verify",
  });
}
