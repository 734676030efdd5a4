import { PorchlightError } from "../../shared/core/errors.ts";
import { type Cursor, cursorSchema } from "../../shared/log/cursor.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { Database } from "../sqlite/database.ts";
import { storeFailure } from "../sqlite/failure.ts";

/** A projection: state of the vault that is derived from the log. */
export interface Projection<E> {
  /** Key of its durable cursor. */
  readonly name: string;
  /**
   * Applies one entry inside the runner's transaction. Idempotent. An error that is none of the
   * store's files or of their disk means that this entry can never be applied: what it has written
   * is rolled back, and the next one follows.
   */
  apply(entry: E): void;
  /** Deletes everything, inside a transaction. Absent where the log alone cannot restore it. */
  reset?(): void;
  /** Runs once all projections have followed and what they changed is committed. */
  settle?(): void;
}

/** An entry with its place, as the runner feeds it; null content was shed. */
export interface ProjectedEntry<E> extends Cursor {
  readonly entry: E | null;
}

/** Every log of a store, one after the other. */
export interface ProjectionSource<E> {
  /** The place before the first entry of the first log. */
  start(): Cursor;
  head(): Cursor;
  /** What follows a place, of one log. Throws `log.place.unknown` where another entry stands there. */
  after(place: Cursor, limit: number): readonly ProjectedEntry<E>[];
  /** How many entries follow a place. Throws as `after` does. */
  count(place: Cursor): number;
  /** Called with an entry that a projection cannot apply. */
  passedOver(seq: number, reason: unknown): void;
}

export interface ProjectionRunner {
  /** Follows the log to its head. A writer that waits for this reads what it wrote. */
  catchUp(): void;
  /** Empties every projection that can be rebuilt, and replays the log into it. */
  rebuild(): void;
  /** How far the slowest projection has come: a place the log must contain. */
  cursor(): Cursor;
}

/** Entries applied in one transaction. */
const BATCH_ENTRIES = 500;

/** Projections follow in the order given: the keyring first, so that no erased key is used. */
export function createProjectionRunner<E>(
  vault: Database,
  source: ProjectionSource<E>,
  projections: readonly Projection<E>[],
): ProjectionRunner {
  const select = vault.prepare("SELECT log, seq, hash FROM projections WHERE name = ?");
  const move = vault.prepare(
    `INSERT INTO projections (name, log, seq, hash) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET log = excluded.log, seq = excluded.seq, hash = excluded.hash`,
  );
  const forget = vault.prepare("DELETE FROM projections WHERE name = ?");
  const cursorOf = (name: string): Cursor =>
    cursorSchema.optional().parse(select.get(name)) ?? source.start();

  /** The place that most entries follow; all projections usually stand at one. */
  const slowest = (): { readonly cursor: Cursor; readonly waiting: number } => {
    const cursors = projections.map(({ name }) => cursorOf(name));
    const places = cursors.filter((place, i) => !cursors.slice(0, i).some(same(place)));
    return places
      .map((cursor) => ({
        cursor,
        waiting: knownHere(cursor, source, () => source.count(cursor)),
      }))
      .reduce((slow, place) => (place.waiting > slow.waiting ? place : slow));
  };

  const step = vault.transaction((projection: Projection<E>, read: Read<E>): boolean => {
    // Read inside the transaction: no other process can now advance the vault beyond this head.
    const head = source.head();
    const cursor = cursorOf(projection.name);
    if (same(cursor)(head)) return false;
    const batch = knownHere(cursor, source, () => read(cursor));
    const last = batch.at(-1);
    if (last === undefined) throw behind(cursor, head);
    for (const { seq, entry } of batch) if (entry !== null) apply(projection, seq, entry);
    move.run(projection.name, last.log, last.seq, last.hash);
    return true;
  });
  // One entry that is no good must not keep the vault from following all that come after it.
  const applyWhole = vault.transaction((projection: Projection<E>, entry: E): void =>
    projection.apply(entry),
  );
  const apply = (projection: Projection<E>, seq: number, entry: E): void => {
    try {
      applyWhole(projection, entry);
    } catch (error) {
      if (storeFailure(error) !== null || isDiskFull(error)) throw error;
      source.passedOver(seq, error);
    }
  };
  const follow = (): Projection<E>[] => {
    const read = readOnce(source);
    return projections.filter((projection) => {
      let moved = false;
      while (step.immediate(projection, read)) moved = true;
      return moved;
    });
  };
  // The usual few entries cost one commit for all projections, not one for each.
  const followAtOnce = vault.transaction(follow);

  const catchUp = (): void => {
    const { waiting } = slowest();
    const moved = waiting <= BATCH_ENTRIES ? followAtOnce.immediate() : follow();
    for (const projection of moved) projection.settle?.();
  };

  return {
    catchUp,
    rebuild() {
      const rebuildable = projections.filter(({ reset }) => reset !== undefined);
      // All or nothing: whoever looks meanwhile, or after a kill, sees what was there before.
      vault
        .transaction(() => {
          for (const projection of rebuildable) {
            projection.reset?.();
            forget.run(projection.name);
          }
          follow();
        })
        .immediate();
      for (const projection of projections) projection.settle?.();
    },
    cursor: () => slowest().cursor,
  };
}

/** The entries after a place. */
type Read<E> = (place: Cursor) => readonly ProjectedEntry<E>[];

/** Reads, and remembers the last batch: all projections usually stand at the same place. */
function readOnce<E>(source: ProjectionSource<E>): Read<E> {
  let last: { readonly place: Cursor; readonly entries: readonly ProjectedEntry<E>[] } | undefined;
  return (place) => {
    if (last === undefined || !same(last.place)(place)) {
      last = { place, entries: source.after(place, BATCH_ENTRIES) };
    }
    return last.entries;
  };
}

function same(one: Cursor): (other: Cursor) => boolean {
  return ({ log, seq, hash }) => one.seq === seq && one.hash === hash && one.log === log;
}

/** What is asked about a place, if it stands in the log. */
function knownHere<T>(
  cursor: Cursor,
  { head }: Pick<ProjectionSource<unknown>, "head">,
  ask: () => T,
): T {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof PorchlightError) || error.code !== "log.place.unknown") throw error;
    throw behind(cursor, head());
  }
}

/** The vault has followed what the log does not hold: log.db was replaced by another copy. */
function behind(cursor: Cursor, head: Cursor): PorchlightError {
  return new PorchlightError(
    "store.log.behind",
    `the vault has followed the log to entry ${cursor.seq}, which this log (${head.seq} entries) does not hold`,
    { hint: "see what is wrong: porchlight log verify; restore log.db and vault.db together" },
  );
}
