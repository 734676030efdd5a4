import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createDatabase, type Database } from "../../../../cloud-sync/postgres/database.ts";
import {
  createFaceEncodings,
  type FaceEncodings,
} from "../../../../cloud-sync/sinks/faces/sink.ts";
import { PorchlightError } from "../../../../shared/core/errors.ts";
import { silentLogger } from "../../../../shared/core/logger.ts";
import { cosine } from "../../../../shared/log/embedding.ts";
import { DirectProjection } from "../../../support/direct-projection.ts";
import { added, DEVICE, entry, LOG, PACK } from "../../../support/face-entries.ts";
import { randomEmbedding, seeded } from "../../../support/facts.ts";
import { needsPgvector, startPgvector } from "../../../support/pgvector.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../../support/postgres.ts";
import { suite } from "../../../support/suite.ts";

const exactly = suite("face encodings, searched in memory");
const byVector = suite("face encodings, searched by pgvector");

function promises(tests: typeof exactly, start: () => Promise<PostgresServer>): void {
  let server: PostgresServer | undefined;
  let database: Database;
  let faces: FaceEncodings & { readonly sink: DirectProjection };
  const released = new Set<string>();
  let owner = DEVICE;
  tests.before.each(async () => {
    server ??= await start();
    database = createDatabase({
      url: server.freshDatabase(),
      logger: silentLogger,
      random: () => 0,
    });
    const made = createFaceEncodings({
      database,
      devicesOf: async () => new Map([[LOG, owner]]),
      open: async ({ subject }, sealed) =>
        released.has(subject) ? Buffer.from(sealed, "base64") : null,
    });
    faces = { ...made, sink: new DirectProjection(database, made.projection) };
    await faces.sink.open();
  });
  tests.after.each(() => database.close());
  tests.after(() => server?.stop());

  tests("the nearest are those that an exact search finds, within their pack", async () => {
    const random = seeded(11);
    const people = Array.from({ length: 300 }, () => ({
      id: randomUUID(),
      face: randomEmbedding(random),
    }));
    for (const { id } of people) released.add(id);
    const entries = people.map(({ id, face }, i) => added(i + 1, id, face));
    const other = added(301, people[0]?.id ?? "", randomEmbedding(random), "other@1");
    const small = added(302, people[0]?.id ?? "", randomEmbedding(random, 16), "small@1");
    assert.equal(await faces.sink.write([...entries, other, small]), { rejected: [] });
    for (let i = 0; i < 20; i++) {
      const probe = randomEmbedding(random);
      const scored = people.map(({ id, face }) => ({ id, score: cosine(face, probe) }));
      const best = scored.sort((a, b) => b.score - a.score).slice(0, 5);
      const found = await faces.nearest(probe, PACK, 5);
      assert.equal(
        found.map(({ subject }) => subject),
        best.map(({ id }) => id),
      );
      assert.ok(found.every(({ score }, at) => Math.abs(score - (best[at]?.score ?? 0)) < 1e-5));
    }
    assert.is((await faces.nearest(randomEmbedding(random), "other@1", 5)).length, 1);
    assert.is((await faces.nearest(randomEmbedding(random, 16), "small@1", 5)).length, 1);
    assert.equal(await faces.nearest(randomEmbedding(random), "nobody@1", 5), []);
  });

  tests(
    "only who was released is in it, and nobody who was erased, whatever comes again",
    async () => {
      const [kept, gone, secret] = [randomUUID(), randomUUID(), randomUUID()];
      for (const id of [kept, gone]) released.add(id);
      const random = seeded(12);
      const face = randomEmbedding(random);
      const all = [
        added(1, kept, randomEmbedding(random)),
        added(2, gone, face),
        added(3, secret, randomEmbedding(random)),
      ];
      await faces.sink.write(all);
      assert.is((await faces.nearest(face, PACK, 1))[0]?.subject, gone);
      await faces.sink.write([entry(4, "person.erased", gone, { reason: "requested" })]);
      const subjects = async (): Promise<string[]> =>
        (await faces.nearest(face, PACK, 10)).map(({ subject }) => subject);
      assert.equal(await subjects(), [kept]);
      await faces.sink.write(all);
      assert.equal(await subjects(), [kept]);
      released.add(secret);
      await faces.sink.write(all);
      assert.equal((await subjects()).sort(), [kept, secret].sort());
    },
  );

  tests(
    "sealed content that is no embedding is rejected, and its reason shows nothing of it",
    async () => {
      const subject = randomUUID();
      released.add(subject);
      const face = randomEmbedding(seeded(13));
      const wrong = ["secret", "{}", JSON.stringify({ embedding: "AAAA" })].map((plain, i) =>
        entry(
          i + 1,
          "template.added",
          subject,
          { template: randomUUID(), pack: PACK, dimension: 128 },
          plain,
        ),
      );
      const { rejected } = await faces.sink.write([...wrong, added(4, subject, face)]);
      assert.equal(
        rejected.map(({ position }) => position),
        [1n, 2n, 3n],
      );
      assert.not.match(rejected.map(({ reason }) => reason).join(), /secret|AAAA/);
      assert.is((await faces.nearest(face, PACK, 9)).length, 1);
    },
  );

  tests(
    "what is longer than an embedding, or of another dimension, is in nobody's way",
    async () => {
      const subject = randomUUID();
      released.add(subject);
      const random = seeded(15);
      const face = randomEmbedding(random);
      const odd = [0.5, 1_000, Number.NaN].map((factor, i) =>
        added(
          i + 2,
          subject,
          face.map((value) => value * factor),
        ),
      );
      const batch = [
        added(1, subject, randomEmbedding(random, 3)),
        ...odd,
        added(5, subject, face),
      ];
      const { rejected } = await faces.sink.write([
        ...batch,
        added(6, subject, new Float32Array(5_000).fill(1 / Math.sqrt(5_000))),
      ]);
      assert.equal(
        rejected.map(({ position }) => position),
        [2n, 3n, 4n, 6n],
      );
      const [best, ...others] = await faces.nearest(face, PACK, 9);
      assert.ok(Math.abs((best?.score ?? 0) - 1) < 1e-5);
      assert.equal(others, []);
      assert.is((await faces.nearest(randomEmbedding(random, 3), PACK, 9)).length, 1);
    },
  );

  tests("what another device says of a face takes nothing from whose it is", async () => {
    const subject = randomUUID();
    released.add(subject);
    const face = randomEmbedding(seeded(16));
    await faces.sink.write([added(1, subject, face)]);
    const template = added(1, subject, face).body?.match(/"template":"([^"]+)"/)?.[1];
    owner = randomUUID();
    await faces.sink.write([
      entry(2, "template.removed", subject, { template }),
      entry(3, "person.erased", subject, { reason: "requested" }),
    ]);
    const other = added(1, subject, randomEmbedding(seeded(17)));
    await faces.sink.write([{ ...other, position: 4n, seq: 4 }]);
    owner = DEVICE;
    const [best] = await faces.nearest(face, PACK, 1);
    assert.equal([best?.device, best?.subject], [DEVICE, subject]);
    await faces.sink.write([{ ...added(1, subject, face), position: 5n, seq: 5 }]);
    assert.is((await faces.nearest(face, PACK, 9)).length, 1);
  });

  tests("a key that does not open is a rejection, not a stop", async () => {
    const open = (): Promise<Buffer> =>
      Promise.reject(new PorchlightError("seal.broken", "it does not open", { remedy: "reject" }));
    const devicesOf = async (): Promise<Map<string, string>> => new Map([[LOG, DEVICE]]);
    const { projection } = createFaceEncodings({ database, devicesOf, open });
    const sink = new DirectProjection(database, projection);
    const { rejected } = await sink.write([added(1, randomUUID(), randomEmbedding(seeded(1)))]);
    assert.equal(rejected, [{ position: 1n, reason: "it does not open" }]);
  });
}

if (needsPostgres()) promises(exactly, startPostgres);
if (needsPgvector()) promises(byVector, startPgvector);

exactly.run();
byVector.run();
