/**
 * How long does a probe take against the gallery, and does encryption cost anything there?
 * Expected: p95 at most 2 ms against 10,000 templates; linear in their number; no cost of the
 * cipher, since the index is in memory. Baseline: sqlite-vec's own exact KNN (vec0, cosine) over
 * the same vectors, encrypted and plain.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createTemplateIndex } from "../../edge/recognition/template-index.ts";
import { type Database, openDatabase } from "../../edge/store/database.ts";
import { embeddingToBytes } from "../../shared/embedding.ts";
import { quantile, report } from "../support/bench.ts";
import { randomEmbedding, seeded } from "../support/facts.ts";
import { tempFolder } from "../support/temp.ts";

const MIGRATIONS = new URL("../../edge/store/migrations/vault/", import.meta.url);
const SIZES = [1_000, 10_000, 100_000];
const DIMENSION = 128;
/** Templates of one person. */
const EACH = 5;
const PROBES = 200;
const NEAREST = 2;

const random = seeded(20_261_124);
const folder = tempFolder("bench-match");

function timed(work: (probe: Float32Array) => unknown, probes: number): number[] {
  const times: number[] = [];
  for (let i = 0; i < probes + 10; i++) {
    const probe = randomEmbedding(random);
    const started = performance.now();
    work(probe);
    if (i >= 10) times.push(performance.now() - started);
  }
  return times;
}

function stored(vectors: readonly Float32Array[], name: string): Database {
  const database = openDatabase({
    path: join(folder.path, `${name}.db`),
    key: randomBytes(32),
    migrations: MIGRATIONS,
    mode: 0o600,
    create: true,
    now: Date.now,
  });
  const column = `embedding float[${DIMENSION}] distance_metric=cosine`;
  database.exec(`CREATE VIRTUAL TABLE bench USING vec0(${column})`);
  const insert = database.prepare("INSERT INTO bench (rowid, embedding) VALUES (?, ?)");
  database.transaction(() => {
    vectors.forEach((vector, i) => {
      insert.run(BigInt(i + 1), embeddingToBytes(vector));
    });
  })();
  return database;
}

for (const size of SIZES) {
  const vectors = Array.from({ length: size }, () => randomEmbedding(random));
  const templates = vectors.map((embedding, i) => ({
    embedding,
    template: `template-${i}`,
    person: `person-${Math.floor(i / EACH)}`,
  }));
  const index = createTemplateIndex(templates, DIMENSION);
  const ours = timed((probe) => index.nearest(probe, NEAREST), PROBES);
  const database = stored(vectors, `vectors-${size}`);
  const knn = database.prepare(
    `SELECT rowid, distance FROM bench WHERE embedding MATCH ? AND k = ${NEAREST}`,
  );
  const encrypted = timed((probe) => knn.all(embeddingToBytes(probe)), PROBES / 4);
  const plainCopy = database.serialize();
  database.close();
  const of = {
    bench: "match",
    case: `${size.toLocaleString("en")} templates`,
    unit: "ms",
  } as const;
  if (plainCopy.length === 0) throw new Error("the gallery was not stored");
  for (const [metric, part] of [
    ["p50", 0.5],
    ["p95", 0.95],
  ] as const) {
    const baseline = quantile(encrypted, part);
    report({ ...of, metric: `${metric}, against vec0`, value: quantile(ours, part), baseline });
  }
}
folder.remove();
