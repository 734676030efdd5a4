/**
 * How long does a probe take against the gallery, and what does encryption cost there?
 * Expected: p95 at most 2 ms against 10,000 templates; linear in their number. The cipher costs
 * once, when the templates are read into the index, and nothing at a probe. Baselines: sqlite-vec's
 * own exact KNN (vec0, cosine) over the same vectors in the encrypted file; a plain file beside it.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTemplateIndex } from "../../edge/recognition/template-index.ts";
import { type Database, openDatabase } from "../../edge/sqlite/database.ts";
import { embeddingToBytes } from "../../shared/log/embedding.ts";
import { quantile, report } from "../support/bench.ts";
import { randomEmbedding, seeded } from "../support/facts.ts";
import { tempFolder } from "../support/temp.ts";

const MIGRATIONS = new URL("../../edge/vault/migrations/", import.meta.url);
const SIZES = [1_000, 10_000, 100_000];
const DIMENSION = 128;
/** Templates of one person. */
const EACH = 5;
const PROBES = 200;
const WARM_UP = 5;
const NEAREST = 2;
/** How often the whole gallery is read, as at a start. */
const READS = 5;
/** The encrypted file, and a plain one attached to it. */
const FILES = ["main", "plain"] as const;

const random = seeded(20_261_124);
const folder = tempFolder("bench-match");

async function timed(work: (probe: Float32Array) => unknown, probes: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < probes + WARM_UP; i++) {
    const probe = randomEmbedding(random);
    const started = performance.now();
    await work(probe);
    if (i >= WARM_UP) times.push(performance.now() - started);
  }
  return times;
}

function stored(vectors: readonly Float32Array[], name: string): Database {
  const database = openDatabase({
    path: join(folder.path, `${name}.db`),
    key: randomBytes(32),
    migrations: MIGRATIONS,
    vectors: true,
    create: true,
    now: Date.now,
  });
  writeFileSync(join(folder.path, `${name}.plain.db`), "");
  database.exec(`ATTACH '${join(folder.path, `${name}.plain.db`)}' AS plain KEY ''`);
  for (const file of FILES) {
    database.pragma(`${file}.cache_size = ${database.pragma("cache_size", { simple: true })}`);
    const column = `embedding float[${DIMENSION}] distance_metric=cosine`;
    database.exec(`CREATE VIRTUAL TABLE ${file}.bench USING vec0(${column})`);
    const insert = database.prepare(`INSERT INTO ${file}.bench (rowid, embedding) VALUES (?, ?)`);
    database.transaction(() => {
      vectors.forEach((vector, i) => {
        insert.run(BigInt(i + 1), embeddingToBytes(vector));
      });
    })();
  }
  const header = readFileSync(join(folder.path, `${name}.plain.db`))
    .subarray(0, 6)
    .toString();
  if (header !== "SQLite") throw new Error("the plain file is not plain");
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
  const ours = await timed((probe) => index.nearest(probe, NEAREST), PROBES);
  const database = stored(vectors, `vectors-${size}`);
  const of = {
    bench: "match",
    case: `${size.toLocaleString("en")} templates`,
    unit: "ms",
  } as const;
  const measured = [];
  for (const file of FILES) {
    const knn = database.prepare(
      `SELECT rowid, distance FROM ${file}.bench WHERE embedding MATCH ? AND k = ${NEAREST}`,
    );
    const read = database.prepare(`SELECT rowid, embedding FROM ${file}.bench`);
    measured.push({
      match: await timed((probe) => knn.all(embeddingToBytes(probe)), PROBES / 4),
      read: await timed(() => read.all(), READS),
    });
  }
  const [encrypted, plain] = measured;
  database.close();
  if (!encrypted || !plain) throw new Error("both files were measured");
  for (const part of [0.5, 0.95]) {
    const p = `p${part * 100}`;
    const vec0 = quantile(encrypted.match, part);
    report({ ...of, metric: `${p}, against vec0`, value: quantile(ours, part), baseline: vec0 });
    const bare = quantile(plain.match, part);
    report({ ...of, metric: `${p}, vec0 encrypted against plain`, value: vec0, baseline: bare });
  }
  report({
    ...of,
    metric: "reading all, encrypted against plain",
    value: quantile(encrypted.read, 0.5),
    baseline: quantile(plain.read, 0.5),
  });
}
folder.remove();
