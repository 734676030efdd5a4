import { randomUUID } from "node:crypto";
import Sqlite from "better-sqlite3";
import * as sqliteVec from "sqlite-vec";
import * as assert from "uvu/assert";
import {
  createTemplateIndex,
  type IndexedTemplate,
} from "../../../edge/recognition/template-index.ts";
import { cosine, embeddingToBytes, normalise } from "../../../shared/log/embedding.ts";
import { randomEmbedding, seeded } from "../../support/facts.ts";
import { suite } from "../../support/suite.ts";

const index = suite("the index of templates");
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const random = seeded(SEED);

/** So many templates of so many people in random directions. */
function templates(count: number, people: number, dimension: number): IndexedTemplate[] {
  return Array.from({ length: count }, (_, i) => ({
    template: randomUUID(),
    person: `person ${i % people}`,
    embedding: randomEmbedding(random, dimension),
  }));
}

/** What sqlite-vec says: every template with its cosine, best first. */
function exactAnswer(all: readonly IndexedTemplate[], probe: Float32Array): [string, number][] {
  const database = new Sqlite(":memory:");
  sqliteVec.load(database);
  database.exec(
    `CREATE VIRTUAL TABLE v USING vec0(embedding float[${probe.length}] distance_metric=cosine)`,
  );
  const insert = database.prepare("INSERT INTO v (rowid, embedding) VALUES (?, ?)");
  all.forEach(({ embedding }, i) => void insert.run(BigInt(i), embeddingToBytes(embedding)));
  const rows = database
    .prepare("SELECT rowid, distance FROM v WHERE embedding MATCH ? AND k = ?")
    .raw()
    .all(embeddingToBytes(probe), all.length) as [number, number][]; // the columns asked for
  database.close();
  return rows.map(([row, distance]) => [all[row]?.template ?? "", 1 - distance]);
}

for (const dimension of [128, 512]) {
  index(`finds what vec0 finds, in ${dimension} dimensions (SEED=${SEED})`, async () => {
    const all = templates(1_500, 1_500, dimension);
    const found = createTemplateIndex(all, dimension);
    for (let probe = 0; probe < 10; probe++) {
      const vector = randomEmbedding(random, dimension);
      const exact = exactAnswer(all, vector).slice(0, 50);
      const ours = await found.nearest(vector, 50);
      ours.forEach(({ score, template }, i) => {
        const [theirs, similarity] = exact[i] ?? ["", Number.NaN];
        assert.ok(Math.abs(score - similarity) <= 1e-4, `place ${i}: ${score}, ${similarity}`);
        // Equal to the last digit of a float32, two neighbours may stand either way round.
        const tied = exact.some(([id, other]) => id === template && other - similarity < 1e-5);
        assert.ok(template === theirs || tied, `place ${i}`);
      });
    }
  });
}

index("gives each person once, by the best of their templates", async () => {
  const all = templates(600, 25, 128);
  const vector = randomEmbedding(random);
  const found = await createTemplateIndex(all, 128).nearest(vector, 25);
  assert.is(new Set(found.map(({ person }) => person)).size, 25);
  for (const { person, template, score } of found) {
    const own = all.filter((each) => each.person === person);
    const best = own.reduce((a, b) =>
      cosine(a.embedding, vector) >= cosine(b.embedding, vector) ? a : b,
    );
    assert.is(template, best.template);
    assert.ok(Math.abs(score - cosine(best.embedding, vector)) <= 1e-4);
  }
  assert.equal(
    found.map(({ score }) => score),
    found.map(({ score }) => score).sort((a, b) => b - a),
  );
});

index("many templates of one person never crowd out the next person", async () => {
  const vector = randomEmbedding(random);
  const near = (amount: number): Float32Array =>
    normalise(vector.map((value) => value + (random() - 0.5) * amount));
  const crowd = Array.from({ length: 200 }, (_, i) => ({
    ...{ template: `ada ${i}`, person: "ada", embedding: near(0.02) },
  }));
  const bob = { template: "bob", person: "bob", embedding: near(0.4) };
  const [first, second] = await createTemplateIndex([...crowd, bob], 128).nearest(vector, 2);
  assert.is(first?.person, "ada");
  assert.is(second?.person, "bob");
});

index("a template is itself's nearest, with similarity 1", async () => {
  const all = templates(100, 100, 128);
  const found = createTemplateIndex(all, 128);
  for (const { template, embedding } of all) {
    const [nearest] = await found.nearest(embedding, 1);
    assert.equal([nearest?.template, nearest?.score], [template, 1]);
  }
});

index("gives as many people as there are, and none of none", async () => {
  const nearest = (all: readonly IndexedTemplate[], limit: number) =>
    createTemplateIndex(all, 128).nearest(randomEmbedding(random), limit);
  const all = templates(6, 3, 128);
  assert.is((await nearest(all, 99)).length, 3);
  assert.is((await nearest(all, 0)).length, 0);
  assert.equal(await nearest([], 5), []);
});

index("a probe or a template of another dimension is a programmer error", async () => {
  const found = createTemplateIndex(templates(3, 3, 128), 128);
  await found.nearest(randomEmbedding(random, 64), 1).then(
    () => assert.unreachable("it has another dimension"),
    (error) => assert.match(String(error), "from the gallery's pack"),
  );
  assert.throws(() => createTemplateIndex(templates(3, 3, 64), 128), /have one dimension/);
});

index.run();
