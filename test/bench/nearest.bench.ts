/**
 * How long does it take to find the nearest of 100,000 face encodings, and is it the right one?
 * Expected: a few milliseconds by pgvector's HNSW with a recall@1 above 0.99, some tens exactly.
 * Probes are other pictures of people who are in it: their encoding and noise, cosine about 0.7.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { StoredEntry } from "../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createFaceEncodings } from "../../cloud-sync/sinks/faces/sink.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { cosine, type Embedding, embeddingToBytes, normalise } from "../../shared/log/embedding.ts";
import { quantile, report } from "../support/bench.ts";
import { DirectProjection } from "../support/direct-projection.ts";
import { randomEmbedding, seeded } from "../support/facts.ts";
import { startPgvector } from "../support/pgvector.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";

const ENCODINGS = 100_000;
const PROBES = 300;
const WARM_UP = 30;
const BATCH = 1_000;
/** Through the sink, and timed. */
const WRITTEN = 5_000;
const NOISE = 0.088;
const PACK = "bench@1";

const random = seeded(0x5eed);
const faces = Array.from({ length: ENCODINGS }, () => randomEmbedding(random));
const probes = Array.from({ length: PROBES }, (): Embedding => {
  const face = faces[Math.floor(random() * ENCODINGS)] ?? randomEmbedding(random);
  const noise = randomEmbedding(random);
  return normalise(face.map((value, i) => value + NOISE * (noise[i] ?? 0) * Math.sqrt(128)));
});

function templateOf(i: number): string {
  return `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`;
}

function bestOf(probe: Embedding): string {
  let best = { score: -2, i: 0 };
  faces.forEach((face, i) => {
    const score = cosine(probe, face);
    if (score > best.score) best = { score, i };
  });
  return templateOf(best.i);
}

const log = randomUUID();
function entryOf(i: number): StoredEntry {
  const data = { template: templateOf(i), pack: PACK, dimension: 128 };
  const embedding = embeddingToBytes(faces[i] ?? new Float32Array(128)).toString("base64");
  const biometric = Buffer.from(JSON.stringify({ embedding })).toString("base64");
  const body = JSON.stringify({ clock: "synced", data, sealed: { biometric } });
  const place = { position: BigInt(i + 1), log, seq: i + 1, hash: "", receivedAt: new Date(0) };
  const subject = templateOf(i);
  return { ...place, body, type: "template.added", at: 0, subject, actor: "device" };
}

function batchFrom(from: number): StoredEntry[] {
  return Array.from({ length: BATCH }, (_, i) => entryOf(from + i));
}

const INDEX = `SELECT indexname AS name, indexdef AS definition FROM pg_indexes
  WHERE schemaname = 'porchlight_faces' AND indexdef LIKE '%hnsw%'`;
const indexRows = z.array(z.object({ name: z.string(), definition: z.string() }));

/** As the sink would, without its index. */
async function insert(database: Database, from: number): Promise<void> {
  const rows = faces.slice(from, from + BATCH);
  const [isVector] = await database.query("SELECT FROM pg_extension WHERE extname = 'vector'");
  const embedding = isVector === undefined ? "decode(embedding, 'hex')" : "embedding::vector";
  await database.query(
    `INSERT INTO porchlight_faces.face_encodings
       (template, subject, device, pack, dimension, embedding, position)
     SELECT template, template, template, $3, 128, ${embedding}, 0
     FROM unnest($1::uuid[], $2::text[]) AS row (template, embedding)`,
    [
      rows.map((_, i) => templateOf(from + i)),
      rows.map((face) =>
        isVector === undefined ? embeddingToBytes(face).toString("hex") : `[${face.join(",")}]`,
      ),
      PACK,
    ],
  );
}

async function measure(name: string, start: () => Promise<PostgresServer>): Promise<void> {
  const server = await start();
  const url = server.freshDatabase();
  const statementTimeoutMs = 600_000;
  const pool = { url, logger: silentLogger, random: Math.random, statementTimeoutMs };
  const database = createDatabase(pool);
  const devicesOf = async (): Promise<Map<string, string>> => new Map([[log, randomUUID()]]);
  const open = async (_: object, sealed: string): Promise<Buffer> => Buffer.from(sealed, "base64");
  const { projection, nearest } = createFaceEncodings({ database, devicesOf, open });
  const sink = new DirectProjection(database, projection);
  await sink.open();
  const started = performance.now();
  for (let from = 0; from < WRITTEN; from += BATCH) await sink.write(batchFrom(from));
  const seconds = (performance.now() - started) / 1_000;
  // An index that grows entry by entry takes minutes; made at once from all of them, seconds.
  const [index] = indexRows.parse(await database.query(INDEX));
  if (index !== undefined) await database.query(`DROP INDEX porchlight_faces.${index.name}`);
  for (let from = WRITTEN; from < ENCODINGS; from += BATCH) await insert(database, from);
  if (index !== undefined) {
    await database.query(`SET maintenance_work_mem = '1GB'; ${index.definition}`);
  }
  const times: number[] = [];
  let right = 0;
  for (const [i, probe] of [...probes.slice(0, WARM_UP), ...probes].entries()) {
    const before = performance.now();
    const [found] = await nearest(probe, PACK, 1);
    if (i < WARM_UP) continue;
    times.push(performance.now() - before);
    if (found?.template === bestOf(probe)) right++;
  }
  const bench = "nearest of 100,000";
  const figure = { bench, case: name, baseline: null };
  report({ ...figure, metric: "p50", value: quantile(times, 0.5), unit: "ms" });
  report({ ...figure, metric: "p95", value: quantile(times, 0.95), unit: "ms" });
  report({ ...figure, metric: "recall@1", value: right / PROBES, unit: "of 1" });
  report({ ...figure, metric: "written", value: WRITTEN / seconds, unit: "encodings/s" });
  await database.close();
  await server.stop();
}

await measure("exact, in memory (PostgreSQL 15)", startPostgres);
await measure("pgvector HNSW (PostgreSQL 18)", startPgvector);
