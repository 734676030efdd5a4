/** What sync asks of the device: the log to be sent, and where its own progress is kept. */

import type { Cursor } from "../../shared/log/cursor.ts";
import type { PersonalClass } from "../../shared/log/entry.ts";

/** An entry as it is sent: `body` are its canonical bytes, null once shed. */
export interface SentEntry {
  readonly log: string;
  readonly seq: number;
  /** Lowercase hex of the SHA-256. */
  readonly hash: string;
  readonly body: string | null;
}

/** Every log of the device, one after the other, as it belongs into the centre. */
export interface SentLog {
  /** The place before the first entry of the first log. */
  start(): Cursor;
  /** The last entry of the current log. */
  head(): Cursor;
  /** The same place as it stands here; null when there is no such log or no such entry. */
  find(log: string, seq: number): Cursor | null;
  /** The last place of a log that another one follows; null for any other. */
  closedAt(log: string): Cursor | null;
  /** What follows a place, of one log; empty at the end of the last. */
  after(
    place: Cursor,
    limit: number,
  ): { readonly previous: Cursor; readonly entries: readonly SentEntry[] };
  /** How many entries follow a place. */
  count(place: Cursor): number;
}

/** The last ack of the centre, and when it came (wall clock, ms since the epoch). */
export interface AckedPlace {
  read(): { readonly cursor: Cursor; readonly at: number } | null;
  write(acked: { readonly cursor: Cursor; readonly at: number }): void;
  halted(): string | null;
  /** Why nothing is sent any more; null once it is. */
  halt(reason: string | null): void;
}

/** Up to where the sealed objects of the log are in the centre. */
export interface UploadedPlace {
  read(): Cursor | null;
  write(cursor: Cursor): void;
}

/** Live notifications, in the order of their entries; never the only copy of anything. */
export interface LiveQueue {
  read(): readonly {
    readonly position: number;
    readonly channel: "ring" | "visitor";
    readonly payload: string;
    /** Too old to be worth sending. */
    readonly stale: boolean;
  }[];
  /** Tolerates a full disk: then it is removed later. */
  remove(position: number): void;
}

/** A subject key on its way to the centre; `wrapped` null: its release is revoked. */
export interface QueuedKey {
  readonly subject: string;
  readonly class: PersonalClass;
  readonly site: string;
  readonly number: number;
  readonly wrapped: Buffer | null;
}

export interface KeyQueue {
  /** What is to be sent next, of one site. */
  next(limit: number): readonly QueuedKey[];
  /** The centre has committed these. */
  settle(keys: readonly QueuedKey[]): void;
}
