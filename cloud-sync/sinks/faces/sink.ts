/**
 * Embeddings of people whose biometric key was released to this site, to be searched for the
 * nearest: by pgvector's HNSW where the database has it, else exactly, in memory, with the same
 * answers. A person who was erased is never in it again, also when older entries come once more.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { embeddingToBytes } from "../../../shared/log/embedding.ts";
import type { OpenPersonal } from "../../keyring/keyring.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import type { FollowsKeys, Projection } from "../projection.ts";
import { pendingOf } from "../support/bisect.ts";
import { decodeEntries } from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";
import { type Change, changeOf, FACE_TYPES } from "./changes.ts";
import { type FaceKeysOptions, followKeys } from "./keys.ts";
import { createNearest, type Nearest, vectorText } from "./nearest.ts";
import { AVAILABLE, createTables, SCHEMA, statements, versionOf } from "./tables.ts";

export interface FaceEncodingsOptions {
  readonly database: Database;
  readonly devicesOf: DevicesOf;
  readonly open: OpenPersonal;
  /** Where keys come and go; without it, only what can be opened when it comes is in it. */
  readonly late?: Pick<FaceKeysOptions, "keys" | "log">;
}

export interface FaceEncodings {
  readonly projection: Projection & FollowsKeys;
  readonly nearest: Nearest;
}

/** pgvector's HNSW takes no more dimensions; such a pack is searched row by row. */
const HNSW_DIMENSIONS_MAX = 2_000;
/** A pack is whatever a device calls so: beyond it, one is searched row by row. */
const INDEXES_MAX = 64;
const INDEX_PREFIX = "face_pack_";

const textRow = z.tuple([z.object({ text: z.string() })]);
const nameRows = z.array(z.object({ name: z.string() }));
const INDEXES = `SELECT indexname AS name FROM pg_indexes
  WHERE schemaname = $1 AND indexname LIKE '${INDEX_PREFIX}%'`;

export function createFaceEncodings(options: FaceEncodingsOptions): FaceEncodings {
  const { database, devicesOf, open, late } = options;
  let vectors: boolean | null = null;
  const hasVectors = async (): Promise<boolean> => {
    vectors ??= (await database.query(AVAILABLE)).length > 0;
    return vectors;
  };
  const prepare: Projection["prepare"] = async (batch) => {
    const byVector = await hasVectors();
    const changes = await decodeEntries(batch, devicesOf, (projected, body) =>
      changeOf(projected, body, open),
    );
    return pendingOf(changes, async (connection, schema, part) => {
      await apply(connection, schema, part, byVector);
      if (byVector) await makeIndexes(connection, schema, part);
    });
  };
  const projection: FaceEncodings["projection"] = {
    name: "face-encodings",
    types: FACE_TYPES,
    schema: SCHEMA,
    async version() {
      vectors = null;
      return versionOf(await hasVectors());
    },
    tables: async (schema) => createTables(schema, await hasVectors()),
    prepare,
    catchUp: async (schema, fenced, signal) =>
      late !== undefined && followKeys({ ...late, database, prepare }, schema, fenced, signal),
  };
  return { projection, nearest: createNearest(database) };
}

async function apply(
  connection: Connection,
  schema: string,
  changes: readonly Change[],
  vectors: boolean,
): Promise<void> {
  const of = statements(schema);
  const gone = changes.filter(({ erased }) => erased);
  if (gone.length > 0) {
    for (const each of [of.erase, of.takeBack, of.forgetPlaces, of.forgetRemoved]) {
      await connection.query(each, owners(gone));
    }
  }
  // Before what is added: of a template that was removed nothing comes in any more.
  const removed = changes.filter((change) => change.removed !== null);
  if (removed.length > 0) {
    const columns = [...owners(removed), removed.map((each) => each.removed)];
    await connection.query(of.rememberRemoved, columns);
    await connection.query(of.deleteRemoved, columns);
  }
  if (gone.length + removed.length > 0) await connection.query(of.remove);
  const places = changes.filter((change) => !change.erased && change.removed === null);
  if (places.length > 0) {
    const positions = places.map(({ position }) => position);
    await connection.query(of.keepPlaces, [...owners(places), positions]);
  }
  await insert(connection, of.insert(vectors), changes, vectors);
}

async function insert(
  connection: Connection,
  statement: string,
  changes: readonly Change[],
  vectors: boolean,
): Promise<void> {
  const rows = new Map(
    changes.flatMap(({ added, device, subject, position }) =>
      added === null
        ? []
        : [[`${device} ${added.template}`, { ...added, device, subject, position }] as const],
    ),
  );
  const all = [...rows.values()];
  if (all.length === 0) return;
  await connection.query(statement, [
    ...owners(all),
    all.map(({ template }) => template),
    all.map(({ pack }) => pack),
    all.map(({ embedding }) => embedding.length),
    all.map(({ embedding }) =>
      vectors ? vectorText(embedding) : embeddingToBytes(embedding).toString("hex"),
    ),
    all.map(({ position }) => position),
  ]);
}

function owners(of: readonly { readonly device: string; readonly subject: string }[]) {
  return [of.map(({ device }) => device), of.map(({ subject }) => subject)];
}

/** An index for each pack and dimension: vectors of different ones are never compared. */
async function makeIndexes(
  connection: Connection,
  schema: string,
  changes: readonly Change[],
): Promise<void> {
  const packs = new Map(
    changes.flatMap(({ added }) =>
      added === null || added.embedding.length > HNSW_DIMENSIONS_MAX
        ? []
        : [[indexOf(added.pack, added.embedding.length), added] as const],
    ),
  );
  if (packs.size === 0) return;
  const known = nameRows.parse(await connection.query(INDEXES, [schema])).map(({ name }) => name);
  const missing = [...packs].filter(([name]) => !known.includes(name));
  for (const [name, { pack, embedding }] of missing.slice(
    0,
    Math.max(0, INDEXES_MAX - known.length),
  )) {
    const text = `CREATE INDEX ${name} ON ${schema}.face_encodings USING hnsw
      ((embedding::vector(${embedding.length})) vector_cosine_ops)
      WHERE pack = %L AND dimension = ${embedding.length}`;
    const [statement] = textRow.parse(
      await connection.query("SELECT format($1, $2::text) AS text", [text, pack]),
    );
    await connection.query(statement.text);
  }
}

function indexOf(pack: string, dimension: number): string {
  const hash = createHash("sha256").update(`${pack} ${dimension}`).digest("hex");
  return `${INDEX_PREFIX}${hash.slice(0, 16)}`;
}
