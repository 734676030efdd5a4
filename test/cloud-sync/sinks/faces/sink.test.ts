import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createKeyring } from "../../../../cloud-sync/keyring/keyring.ts";
import { createDatabase, type Database } from "../../../../cloud-sync/postgres/database.ts";
import {
  createFaceEncodings,
  type FaceEncodings,
} from "../../../../cloud-sync/sinks/faces/sink.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { PorchlightError } from "../../../../shared/core/errors.ts";
import { silentLogger } from "../../../../shared/core/logger.ts";
import { cosine } from "../../../../shared/log/embedding.ts";
import { siteIdOf } from "../../../../shared/log/site-key.ts";
import { wrapKey } from "../../../../shared/log/wrap.ts";
import { Central } from "../../../support/central.ts";
import { startFast } from "../../../support/engines.ts";
import { added, DEVICE, entry, LOG, PACK } from "../../../support/face-entries.ts";
import { randomEmbedding, seeded, PACK as TEST_PACK } from "../../../support/facts.ts";
import { batchOf } from "../../../support/links.ts";
import { needsPgvector, startPgvector } from "../../../support/pgvector.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../../support/postgres.ts";
import { newSite } from "../../../support/released.ts";
import { Story } from "../../../support/story.ts";
import { suite } from "../../../support/suite.ts";

const exactly = suite("face encodings, searched in memory");
const byVector = suite("face encodings, searched by pgvector");

const unaborted = new AbortController().signal;

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

/** Keys as they come and go, over a real log and a real keyring. */
const late = suite("face encodings, whose keys come and go");

if (needsPostgres()) {
  const central = new Central(startFast);
  const site = newSite();
  const siteId = siteIdOf(site.publicKey);
  late.before.each(() => central.begin());
  late.after.each(() => central.end());
  late.after(() => central.stop());

  /** A story whose subjects' keys can be released, a keyring and the sink, run as a runner does. */
  async function rig() {
    const { database, log } = central;
    const story = new Story();
    const batch = batchOf(story.log, story.links);
    const keyring = createKeyring({ database, site });
    const devices = createLogOwners(database);
    const { sink, nearest } = createFaceEncodings({
      database,
      devicesOf: devices,
      open: keyring.open,
      late: { keys: keyring, log },
    });
    await sink.open(unaborted);
    let number = 0;
    return {
      story,
      sink,
      append: () => log.append([{ device: story.device, batch }]),
      write: async () => sink.write(await log.readAfter(0n, 1_000), unaborted),
      async follow(): Promise<number> {
        for (let steps = 0; ; steps++) {
          if ((await sink.catchUp?.(unaborted)) == null) return steps;
        }
      },
      async tell(subject: string, device = story.device, back = false): Promise<void> {
        const place = { device, subject, class: "biometric" } as const;
        const wrapped = await wrapKey(site.publicKey, place, story.keyOf(subject, "biometric"));
        const key = { subject, class: place.class, number: ++number };
        await keyring.keep(device, siteId, [
          { ...key, wrapped: back ? null : wrapped.toString("base64") },
        ]);
      },
      found: async () => (await nearest(story.face, TEST_PACK, 9)).map(({ subject }) => subject),
    };
  }

  late("the key first, the entry first: it comes to the same", async () => {
    const early = await rig();
    await early.tell(early.story.kept);
    await early.append();
    await early.write();
    assert.equal(await early.found(), [early.story.kept]);
    await early.follow();
    assert.equal(await early.found(), [early.story.kept]);
  });

  late(
    "a key that comes later brings in what came before, once; one for another, nothing",
    async () => {
      const { story, append, write, follow, tell, found } = await rig();
      await append();
      await write();
      assert.equal(await found(), []);
      await tell(story.kept, randomUUID());
      assert.is(await follow(), 1);
      assert.equal(await found(), []);
      await tell(story.kept);
      await tell(story.erased);
      await follow();
      assert.equal(await found(), [story.kept], "and nobody who was erased");
      assert.is(await follow(), 0);
    },
  );

  late("what is taken back goes, and comes again with its key, also after a replay", async () => {
    const { story, sink, append, write, follow, tell, found } = await rig();
    await append();
    await write();
    for (let round = 0; round < 2; round++) {
      await tell(story.kept);
      await follow();
      assert.equal(await found(), [story.kept]);
      await tell(story.kept, story.device, true);
      await follow();
      assert.equal(await found(), []);
    }
    await tell(story.kept);
    await sink.reset?.();
    await write();
    await follow();
    assert.equal(await found(), [story.kept]);
  });

  late(
    "content that is no embedding is rejected when its key comes, and the rest is there",
    async () => {
      const { story, sink, append, write, tell, found } = await rig();
      await append();
      assert.equal(await write(), { rejected: [] });
      await tell(story.kept);
      const done = await sink.catchUp?.(unaborted);
      assert.is(done?.rejected.length, 1);
      assert.is(done?.entries[0]?.seq, story.bad.get("template.added"));
      assert.equal(await found(), [story.kept]);
    },
  );
}
late.run();

if (needsPostgres()) promises(exactly, startPostgres);
if (needsPgvector()) promises(byVector, startPgvector);

exactly.run();
byVector.run();
