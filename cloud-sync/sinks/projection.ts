/**
 * What a sink is whose store is our own PostgreSQL: its rows, its rejects and its cursor move in one
 * transaction that begins by locking the cursor row as its holder. So each entry is written exactly
 * once, and an instance that was paused and followed writes nothing any more.
 */
import type { StoredEntry } from "../log/event-log.ts";
import type { Connection } from "../postgres/database.ts";
import type { RejectedEntry, Rejection } from "./sink.ts";

/** A batch that was read and checked, ready to be written within a transaction. */
export interface Pending {
  /** What did not fit its schema. */
  readonly rejected: readonly Rejection[];
  /** Writes the others; lists those that the database refuses. May run again, from the start. */
  write(connection: Connection, schema: string): Promise<readonly Rejection[]>;
}

export interface Projection {
  /** Key of its durable cursor. Renaming a sink replays it from the first entry. */
  readonly name: string;
  /** The types of entries that it reads, where they are few; the others are skipped. */
  readonly types?: readonly string[];
  /** The schema that its tables are served from; null where it has none of its own. */
  readonly schema: string | null;
  /**
   * Of its tables and what they mean: another version is built in another schema, from the first
   * entry on, and swapped when it is level.
   */
  version(): Promise<number>;
  /** Statements that make its tables in a schema that is there. */
  tables(schema: string): Promise<string>;
  prepare(batch: readonly StoredEntry[]): Promise<Pending>;
}

/**
 * One transaction that begins by locking the cursor row as its holder; what it returns is kept
 * among the rejects with the same commit. Throws `sink.lost` when another instance has taken over.
 */
export type Fenced = (
  work: (connection: Connection) => Promise<readonly RejectedEntry[]>,
) => Promise<void>;

/** A projection that subject keys change, also after their entries. */
export interface FollowsKeys {
  /**
   * One bounded step; false when nothing has changed. Called when no entry waits, twice a second; a
   * step that failed is called for again.
   */
  catchUp(schema: string, fenced: Fenced, signal: AbortSignal): Promise<boolean>;
}

/** A projection that needs work from time to time: retention. */
export interface Maintained {
  /** Never while a batch is written. */
  maintain(schema: string, fenced: Fenced, signal: AbortSignal): Promise<void>;
}

/** A projection with whichever of these powers it has. */
export type AnyProjection = Projection & Partial<FollowsKeys & Maintained>;
