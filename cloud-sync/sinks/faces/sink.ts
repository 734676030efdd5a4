/**
 * Embeddings of people whose biometric key was released to this site, to be searched for the
 * nearest: by pgvector's HNSW where the database has it, else exactly, in memory, with the same
 * answers. A person who was erased is never in it again, also when older entries come once more.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { type Embedding, embeddingToBytes } from "../../../shared/log/embedding.ts";
import type { OpenPersonal } from "../../keyring/keyring.ts";
import type { StoredEntry } from "../../log/event-log.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import type { FollowsKeys, Positioned, Resettable, Sink, Written } from "../sink.ts";
import { refusalOf, writeIsolating } from "../support/bisect.ts";
import {
  type Body,
  decodeEntries,
  type Projected,
  projectionOf,
} from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { type Change, changeOf, FACE_TYPES } from "./changes.ts";
import { ExactIndex, type Neighbour } from "./exact-index.ts";
import { type FaceKeysOptions, followKeys } from "./keys.ts";
import {
  AVAILABLE,
  DELETE,
  DELETE_REMOVED,
  ERASE,
  FORGET_PLACES,
  FORGET_REMOVED,
  insertStatement,
  KEEP_PLACES,
  LOCK,
  MOVE,
  PAGE,
  REMEMBER_REMOVED,
  REMOVE,
  REMOVED,
  STATE,
  TABLE,
  TABLE_EXISTS,
  tables,
  versionOf,
} from "./tables.ts";

type FacesSink = Sink & Required<Positioned> & Resettable & FollowsKeys;

export interface FaceEncodingsOptions {
  readonly database: Database;
  readonly devicesOf: DevicesOf;
  readonly open: OpenPersonal;
  /** Where keys come and go; without it, only what can be opened when it comes is in it. */
  readonly late?: Pick<FaceKeysOptions, "keys" | "log">;
}

export interface FaceEncodings {
  readonly sink: FacesSink;
  /** The `k` templates of one pack (`name@version`) that are most like this one, best first. */
  nearest(embedding: Embedding, pack: string, k: number): Promise<readonly Neighbour[]>;
}

/** Neighbours looked at in the graph: recall and time in test/bench/nearest.bench.ts. */
const EF_SEARCH = 400;
/** pgvector's HNSW takes no more dimensions; such a pack is searched row by row. */
const HNSW_DIMENSIONS_MAX = 2_000;
const NEAREST_MAX = 100;

const countRow = z.tuple([z.object({ count: z.bigint() })]);
const neighbourRows = z.array(
  z.object({ template: z.string(), subject: z.string(), score: z.number() }),
);
const textRow = z.tuple([z.object({ text: z.string() })]);

export function createFaceEncodings(options: FaceEncodingsOptions): FaceEncodings {
  const { database, devicesOf, open, late } = options;
  let vectors: boolean | null = null;
  const indexes = new Map<string, ExactIndex>();
  const hasVectors = async (): Promise<boolean> => {
    vectors ??= (await database.query(AVAILABLE)).length > 0;
    return vectors;
  };
  const rebuild = async (connection: Connection): Promise<void> => {
    await connection.query(tables(await hasVectors()));
  };
  const writeAll = async (batch: readonly StoredEntry[], signal: AbortSignal): Promise<Written> => {
    const read = (entry: Projected, body: Body | null) => changeOf(entry, body, open);
    const { items, rejected } = await decodeEntries(batch, devicesOf, read);
    const statement = insertStatement(await hasVectors());
    const writeChanges = (part: readonly Change[]): Promise<void> =>
      database.transaction(async (connection) => {
        await apply(connection, part, statement);
        if (vectors === true) await makeIndexes(connection, part);
        signal.throwIfAborted();
      }, signal);
    const refused = await writeIsolating(items, writeChanges, refusalOf);
    return { rejected: [...rejected, ...refused.rejected] };
  };
  const advanceTo = async (position: bigint): Promise<void> => {
    await database.query(MOVE, [position]);
  };
  const sink: FacesSink = {
    name: "face-encodings",
    types: FACE_TYPES,
    async open() {
      vectors = null;
      const version = versionOf(await hasVectors());
      await database.transaction(async (connection) => {
        await connection.query(LOCK);
        const exists = (await connection.query(TABLE_EXISTS)).length > 0;
        const same = exists && projectionOf(await connection.query(STATE)).version === version;
        if (!same) await rebuild(connection);
      });
    },
    async write(batch, signal) {
      const written = await writeAll(batch, signal);
      await advanceTo(batch.at(-1)?.position ?? 0n);
      return written;
    },
    advanceTo,
    position: async () => projectionOf(await database.query(STATE)).position,
    catchUp: async (signal) =>
      late === undefined ? null : followKeys({ ...late, database, write: writeAll }, signal),
    reset: () => database.transaction(rebuild),
    close: async () => undefined,
  };
  return {
    sink,
    async nearest(embedding, pack, k) {
      const wanted = Math.min(Math.max(k, 1), NEAREST_MAX);
      if (await hasVectors()) return nearestByVector(database, embedding, pack, wanted);
      const index = await freshIndex(database, pack, indexes.get(pack));
      indexes.set(pack, index);
      return index.nearest(embedding, wanted);
    },
  };
}

async function apply(
  connection: Connection,
  changes: readonly Change[],
  statement: string,
): Promise<void> {
  const gone = changes.filter(({ erased }) => erased).map(({ subject }) => subject);
  if (gone.length > 0) {
    for (const statement of [ERASE, DELETE, FORGET_PLACES, FORGET_REMOVED]) {
      await connection.query(statement, [gone]);
    }
    await connection.query(REMOVE);
  }
  await applyRemoved(connection, changes);
  const places = changes.filter(({ erased, removed }) => !erased && removed === null);
  if (places.length > 0) {
    await connection.query(KEEP_PLACES, [
      places.map(({ position }) => position),
      places.map(({ device }) => device),
      places.map(({ subject }) => subject),
    ]);
  }
  const vector = statement.includes("::vector");
  const rows = new Map(
    changes.flatMap(({ added, subject, position }) =>
      added === null ? [] : [[added.template, { ...added, subject, position }] as const],
    ),
  );
  const all = [...rows.values()];
  if (all.length === 0) return;
  await connection.query(statement, [
    all.map(({ template }) => template),
    all.map(({ subject }) => subject),
    all.map(({ device }) => device),
    all.map(({ pack }) => pack),
    all.map(({ embedding }) => embedding.length),
    all.map(({ embedding }) =>
      vector ? vectorText(embedding) : embeddingToBytes(embedding).toString("hex"),
    ),
    all.map(({ position }) => position),
  ]);
}

/** Before what is added: of a template that was removed nothing comes in any more. */
async function applyRemoved(connection: Connection, changes: readonly Change[]): Promise<void> {
  const removed = changes.filter((change) => change.removed !== null);
  if (removed.length === 0) return;
  const columns = [removed.map((each) => each.removed), removed.map(({ subject }) => subject)];
  await connection.query(REMEMBER_REMOVED, columns);
  await connection.query(DELETE_REMOVED, columns);
  await connection.query(REMOVE);
}

/** An index for each pack and dimension: vectors of different ones are never compared. */
async function makeIndexes(connection: Connection, changes: readonly Change[]): Promise<void> {
  const packs = new Map(
    changes.flatMap(({ added }) =>
      added === null ? [] : [[`${added.pack} ${added.embedding.length}`, added] as const],
    ),
  );
  for (const [key, { pack, embedding }] of packs) {
    if (embedding.length > HNSW_DIMENSIONS_MAX) continue;
    const name = `face_encodings_${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
    const text = `CREATE INDEX IF NOT EXISTS ${name} ON ${TABLE} USING hnsw
      ((embedding::vector(${embedding.length})) vector_cosine_ops)
      WHERE pack = %L AND dimension = ${embedding.length}`;
    const [statement] = textRow.parse(
      await connection.query("SELECT format($1, $2::text) AS text", [text, pack]),
    );
    await connection.query(statement.text);
  }
}

function nearestByVector(
  database: Database,
  embedding: Embedding,
  pack: string,
  k: number,
): Promise<readonly Neighbour[]> {
  const [type, dimension] = [`vector(${embedding.length})`, embedding.length];
  const distance = `embedding::${type} <=> $1::${type}`;
  return database.transaction(async (connection) => {
    await connection.query(`SET LOCAL hnsw.ef_search = ${EF_SEARCH}`);
    const rows = await connection.query(
      `SELECT template, subject, 1 - (${distance}) AS score FROM ${TABLE}
       WHERE pack = $2 AND dimension = ${dimension} ORDER BY ${distance} LIMIT $3`,
      [vectorText(embedding), pack, k],
    );
    return neighbourRows.parse(rows);
  });
}

/** What came since it was read; all of it again, when something of it is gone. */
async function freshIndex(
  database: Database,
  pack: string,
  known: ExactIndex | undefined,
): Promise<ExactIndex> {
  const [{ count }] = countRow.parse(await database.query(REMOVED));
  const index = known?.removed === count ? known : new ExactIndex(count);
  for (let read: number = PAGE.rows; read === PAGE.rows; ) {
    read = index.add(await database.query(PAGE.statement, [pack, index.added]));
  }
  return index;
}

function vectorText(embedding: Embedding): string {
  return `[${embedding.join(",")}]`;
}
