/** The templates that are most like an embedding: by pgvector, else exactly, in memory. */
import { z } from "zod";
import type { Embedding } from "../../../shared/log/embedding.ts";
import type { Database } from "../../postgres/database.ts";
import { ExactIndex, type Neighbour } from "./exact-index.ts";
import { PAGE, REMOVED, SCHEMA } from "./tables.ts";

/** The `k` templates of one pack (`name@version`) that are most like this one, best first. */
export type Nearest = (
  embedding: Embedding,
  pack: string,
  k: number,
) => Promise<readonly Neighbour[]>;

/** Neighbours looked at in the graph: recall and time in test/bench/nearest.bench.ts. */
const EF_SEARCH = 400;
const NEAREST_MAX = 100;

/** What is served may have been made before the database got pgvector. */
const BY_VECTOR = `SELECT FROM pg_attribute WHERE attrelid = to_regclass('${SCHEMA}.face_encodings')
  AND attname = 'embedding' AND atttypid = to_regtype('vector')`;

const countRow = z.tuple([z.object({ count: z.bigint() })]);
const neighbourRows = z.array(
  z.object({
    template: z.string(),
    subject: z.string(),
    device: z.string(),
    score: z.number(),
  }),
);

export function createNearest(database: Database): Nearest {
  const indexes = new Map<string, ExactIndex>();
  return async (embedding, pack, k) => {
    const wanted = Math.min(Math.max(k, 1), NEAREST_MAX);
    if ((await database.query(BY_VECTOR)).length > 0)
      return nearestByVector(database, embedding, pack, wanted);
    const key = `${embedding.length} ${pack}`;
    const index = await freshIndex(database, pack, embedding.length, indexes.get(key));
    indexes.set(key, index);
    return index.nearest(embedding, wanted);
  };
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
      `SELECT template, subject, device, 1 - (${distance}) AS score FROM ${SCHEMA}.face_encodings
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
  dimension: number,
  known: ExactIndex | undefined,
): Promise<ExactIndex> {
  const [{ count }] = countRow.parse(await database.query(REMOVED));
  const index = known?.removed === count ? known : new ExactIndex(count, dimension);
  for (let read: number = PAGE.rows; read === PAGE.rows; ) {
    read = index.add(await database.query(PAGE.statement, [pack, dimension, index.added]));
  }
  return index;
}

export function vectorText(embedding: Embedding): string {
  return `[${embedding.join(",")}]`;
}
