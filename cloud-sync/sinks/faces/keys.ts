/**
 * Key changes arrive apart from the log: a late key adds the encodings of earlier entries, and a
 * revoked one deletes its encodings.
 */
import { z } from "zod";
import type { KeyChange, Keyring } from "../../keyring/keyring.ts";
import type { CentralLog } from "../../log/event-log.ts";
import type { Database } from "../../postgres/database.ts";
import type { Fenced, Projection } from "../projection.ts";
import { withEntries } from "../sink.ts";
import { statements } from "./tables.ts";

export interface FaceKeysOptions {
  readonly database: Pick<Database, "query">;
  readonly keys: Pick<Keyring, "changes">;
  readonly log: Pick<CentralLog, "readAt">;
  readonly prepare: Projection["prepare"];
}

/** Changes looked at in one go: strangers have keys too, and most of them no template. */
const CHANGES_AT_ONCE = 100;
/** Templates with their crops, 40 kB each. */
const PAGE_ENTRIES = 50;

const positionRows = z.array(z.object({ position: z.bigint() }));

/** One bounded step; false when no key has changed. Done twice, it comes to the same. */
export async function followKeys(
  options: FaceKeysOptions,
  schema: string,
  fenced: Fenced,
  signal: AbortSignal,
): Promise<boolean> {
  const { database, keys } = options;
  const { keys: seen, takeBack, remove, moveKeys } = statements(schema);
  const [row] = positionRows.parse(await database.query(seen));
  const changes = await keys.changes("biometric", row?.position ?? 0n, CHANGES_AT_ONCE);
  const last = changes.at(-1)?.changed;
  if (last === undefined) return false;
  const gone = changes.filter(({ held }) => !held);
  if (gone.length > 0) {
    await fenced(async (connection) => {
      await connection.query(takeBack, columnsOf(gone));
      await connection.query(remove);
      return [];
    });
  }
  const come = changes.filter(({ held }) => held);
  if (come.length > 0) await bringIn(options, { schema, come }, fenced, signal);
  await fenced(async (connection) => {
    await connection.query(moveKeys, [last]);
    return [];
  });
  return true;
}

async function bringIn(
  { database, log, prepare }: FaceKeysOptions,
  { schema, come }: { readonly schema: string; readonly come: readonly KeyChange[] },
  fenced: Fenced,
  signal: AbortSignal,
): Promise<void> {
  const { unopened } = statements(schema);
  for (let after = 0n; ; ) {
    const rows = await database.query(unopened, [...columnsOf(come), after, PAGE_ENTRIES]);
    const positions = positionRows.parse(rows).map(({ position }) => position);
    const last = positions.at(-1);
    if (last === undefined) return;
    const page = await log.readAt(positions);
    const pending = await prepare(page);
    await fenced(async (connection) => {
      const refused = await pending.write(connection, schema);
      return withEntries([...pending.rejected, ...refused], page);
    });
    signal.throwIfAborted();
    after = last;
  }
}

function columnsOf(changes: readonly KeyChange[]): readonly string[][] {
  return [changes.map(({ device }) => device), changes.map(({ subject }) => subject)];
}
