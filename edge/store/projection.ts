import { type Cursor, cursorSchema, startOf } from "../../shared/cursor.ts";
import { PorchlightError } from "../../shared/errors.ts";
import type { Database } from "./database.ts";

/** Something the vault knows because it read it in the log. */
export interface Projection<E> {
  /** Key of its durable cursor. */
  readonly name: string;
  /** Applies one entry inside the runner's transaction. Idempotent. */
  apply(entry: E): void;
  /** Forgets everything, inside a transaction. Absent where the log alone cannot bring it back. */
  reset?(): void;
  /** Runs after a batch was committed. */
  settle?(): void;
}

/** An entry with its place, as the runner feeds it; null content was shed. */
export interface ProjectedEntry<E> {
  readonly seq: number;
  readonly hash: string;
  readonly entry: E | null;
}

export interface ProjectionSource<E> {
  head(): Cursor;
  readAfter(seq: number, limit: number): readonly ProjectedEntry<E>[];
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
  const cursorOf = (name: string, head: Cursor): Cursor => {
    const cursor = cursorSchema.optional().parse(select.get(name));
    return cursor?.log === head.log ? cursor : startOf(head.log);
  };

  const step = vault.transaction((projection: Projection<E>, head: Cursor): boolean => {
    const cursor = cursorOf(projection.name, head);
    if (cursor.seq === head.seq && cursor.hash === head.hash) return false;
    if (cursor.seq >= head.seq) throw behind(cursor, head);
    const batch = source.readAfter(cursor.seq, BATCH_ENTRIES);
    const last = batch.at(-1);
    if (last === undefined) throw behind(cursor, head);
    for (const { entry } of batch) if (entry !== null) projection.apply(entry);
    move.run(projection.name, head.log, last.seq, last.hash);
    return true;
  });

  const catchUp = (): void => {
    const head = source.head();
    for (const projection of projections) {
      let moved = false;
      while (step.immediate(projection, head)) moved = true;
      if (moved) projection.settle?.();
    }
  };

  return {
    catchUp,
    rebuild() {
      const rebuildable = projections.filter(({ reset }) => reset !== undefined);
      vault
        .transaction(() => {
          for (const projection of rebuildable) {
            projection.reset?.();
            forget.run(projection.name);
          }
        })
        .immediate();
      catchUp();
    },
    cursor() {
      const head = source.head();
      return projections
        .map(({ name }) => cursorOf(name, head))
        .reduce((slowest, cursor) => (cursor.seq < slowest.seq ? cursor : slowest), head);
    },
  };
}

/** The vault has seen more than the log holds: log.db was replaced by an older copy. */
function behind(cursor: Cursor, head: Cursor): PorchlightError {
  return new PorchlightError(
    "store.log.behind",
    `the vault has followed the log to entry ${cursor.seq}, but the log ends at ${head.seq}`,
    { hint: "see what is wrong: porchlight log verify; restore log.db and vault.db together" },
  );
}
