/**
 * Key changes arrive apart from the log: a late key adds the encodings of earlier entries, and a
 * revoked one deletes its encodings.
 */
import { z } from "zod";
import type { Keyring } from "../../keyring/keyring.ts";
import type { CentralLog, StoredEntry } from "../../log/event-log.ts";
import type { Database } from "../../postgres/database.ts";
import type { CaughtUp, Rejection, Written } from "../sink.ts";
import { KEYS, MOVE_KEYS, REMOVE, TAKE_BACK, UNOPENED } from "./tables.ts";

export interface FaceKeysOptions {
  readonly database: Database;
  readonly keys: Pick<Keyring, "changes">;
  readonly log: Pick<CentralLog, "readAt">;
  readonly write: (batch: readonly StoredEntry[], signal: AbortSignal) => Promise<Written>;
}

/** Changes looked at in one go: strangers have keys too, and most of them no template. */
const CHANGES_AT_ONCE = 100;
/** Templates with their crops, 40 kB each. */
const PAGE_ENTRIES = 50;

const keysRow = z.tuple([z.object({ keys: z.bigint() })]);
const positionRows = z.array(z.object({ position: z.bigint() }));

/** One bounded step; null when no key has changed. Done twice, it comes to the same. */
export async function followKeys(
  options: FaceKeysOptions,
  signal: AbortSignal,
): Promise<CaughtUp | null> {
  const { database, keys } = options;
  const [{ keys: seen }] = keysRow.parse(await database.query(KEYS));
  const changes = await keys.changes("biometric", seen, CHANGES_AT_ONCE);
  const last = changes.at(-1)?.changed;
  if (last === undefined) return null;
  const columns = (held: boolean): readonly string[][] => {
    const of = changes.filter((change) => change.held === held);
    return [of.map(({ device }) => device), of.map(({ subject }) => subject)];
  };
  const gone = columns(false);
  if (gone[0]?.length !== 0) {
    await database.transaction(async (connection) => {
      await connection.query(TAKE_BACK, gone);
      await connection.query(REMOVE);
    }, signal);
  }
  const caughtUp = await bringIn(options, columns(true), signal);
  await database.query(MOVE_KEYS, [last]);
  return caughtUp;
}

async function bringIn(
  { database, log, write }: FaceKeysOptions,
  come: readonly string[][],
  signal: AbortSignal,
): Promise<CaughtUp> {
  const entries: StoredEntry[] = [];
  const rejected: Rejection[] = [];
  for (let after = 0n; ; ) {
    const rows = await database.query(UNOPENED, [...come, after, PAGE_ENTRIES]);
    const positions = positionRows.parse(rows).map(({ position }) => position);
    const last = positions.at(-1);
    if (last === undefined) return { entries, rejected };
    const page = await log.readAt(positions);
    const written = await write(page, signal);
    const bad = new Set(written.rejected.map(({ position }) => position));
    entries.push(...page.filter(({ position }) => bad.has(position)));
    rejected.push(...written.rejected);
    signal.throwIfAborted();
    after = last;
  }
}
