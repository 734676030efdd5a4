import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import type { StoredEntry } from "../../../cloud-sync/log/event-log.ts";
import { createDatabase, type Database } from "../../../cloud-sync/postgres/database.ts";
import {
  createFaceEncodings,
  type FaceEncodings,
} from "../../../cloud-sync/sinks/face-encodings.ts";
import { cosine, type Embedding, embeddingToBytes } from "../../../shared/embedding.ts";
import { PorchlightError } from "../../../shared/errors.ts";
import { silentLogger } from "../../../shared/logger.ts";
import { randomEmbedding, seeded } from "../../support/facts.ts";
import { needsPgvector, startPgvector } from "../../support/pgvector.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const exactly = suite("face encodings, searched in memory");
const byVector = suite("face encodings, searched by pgvector");

const LOG = randomUUID();
const DEVICE = randomUUID();
const PACK = "test@1";
const unaborted = new AbortController().signal;

function entry(
  position: number,
  type: string,
  subject: string,
  data: object,
  plain = "",
): StoredEntry {
  const sealed = plain === "" ? null : { biometric: Buffer.from(plain).toString("base64") };
  return {
    position: BigInt(position),
    log: LOG,
    seq: position,
    hash: "",
    body: JSON.stringify({ clock: "synced", data, sealed }),
    type,
    at: 0,
    subject,
    actor: "device",
    receivedAt: new Date(0),
  };
}

function added(position: number, subject: string, face: Embedding, pack = PACK): StoredEntry {
  const template = `00000000-0000-4000-8000-${String(position).padStart(12, "0")}`;
  const content = { crop: null, embedding: embeddingToBytes(face).toString("base64"), photo: null };
  const data = { template, pack, dimension: face.length };
  return entry(position, "template.added", subject, data, JSON.stringify(content));
}

function promises(tests: typeof exactly, start: () => Promise<PostgresServer>): void {
  let server: PostgresServer | undefined;
  let database: Database;
  let faces: FaceEncodings;
  const released = new Set<string>();
  tests.before.each(async () => {
    server ??= await start();
    database = createDatabase({
      url: server.freshDatabase(),
      logger: silentLogger,
      random: () => 0,
    });
    faces = createFaceEncodings({
      database,
      devicesOf: async () => new Map([[LOG, DEVICE]]),
      open: async ({ subject }, sealed) =>
        released.has(subject) ? Buffer.from(sealed, "base64") : null,
    });
    await faces.sink.open(unaborted);
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
    assert.equal(await faces.sink.write([...entries, other, small], unaborted), { rejected: [] });
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
      await faces.sink.write(all, unaborted);
      assert.is((await faces.nearest(face, PACK, 1))[0]?.subject, gone);
      await faces.sink.write([entry(4, "person.erased", gone, { reason: "requested" })], unaborted);
      const subjects = async (): Promise<string[]> =>
        (await faces.nearest(face, PACK, 10)).map(({ subject }) => subject);
      assert.equal(await subjects(), [kept]);
      await faces.sink.write(all, unaborted);
      assert.equal(await subjects(), [kept]);
      released.add(secret);
      await faces.sink.write(all, unaborted);
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
      const { rejected } = await faces.sink.write([...wrong, added(4, subject, face)], unaborted);
      assert.equal(
        rejected.map(({ position }) => position),
        [1n, 2n, 3n],
      );
      assert.not.match(rejected.map(({ reason }) => reason).join(), /secret|AAAA/);
      assert.is((await faces.nearest(face, PACK, 9)).length, 1);
    },
  );

  tests("a key that does not open is a rejection, not a stop", async () => {
    const open = (): Promise<Buffer> =>
      Promise.reject(new PorchlightError("seal.broken", "it does not open", { remedy: "reject" }));
    const devicesOf = async (): Promise<Map<string, string>> => new Map([[LOG, DEVICE]]);
    const { sink } = createFaceEncodings({ database, devicesOf, open });
    const { rejected } = await sink.write(
      [added(1, randomUUID(), randomEmbedding(seeded(1)))],
      unaborted,
    );
    assert.equal(rejected, [{ position: 1n, reason: "it does not open" }]);
  });
}

if (needsPostgres()) promises(exactly, startPostgres);
if (needsPgvector()) promises(byVector, startPgvector);

exactly.run();
byVector.run();
