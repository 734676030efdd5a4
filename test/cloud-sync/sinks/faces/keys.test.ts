import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createKeyring } from "../../../../cloud-sync/keyring/keyring.ts";
import { createFaceEncodings } from "../../../../cloud-sync/sinks/faces/sink.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { siteIdOf } from "../../../../shared/log/site-key.ts";
import { wrapKey } from "../../../../shared/log/wrap.ts";
import { Central } from "../../../support/central.ts";
import { DirectProjection } from "../../../support/direct-projection.ts";
import { startFast } from "../../../support/engines.ts";
import { PACK as TEST_PACK } from "../../../support/facts.ts";
import { batchOf } from "../../../support/links.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { newSite } from "../../../support/released.ts";
import { Story } from "../../../support/story.ts";
import { suite } from "../../../support/suite.ts";

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
    const { projection, nearest } = createFaceEncodings({
      database,
      devicesOf: devices,
      open: keyring.open,
      late: { keys: keyring, log },
    });
    const sink = new DirectProjection(database, projection);
    await sink.open();
    let number = 0;
    return {
      story,
      sink,
      append: () => log.append([{ device: story.device, batch }]),
      write: async () => sink.write(await log.readAfter(0n, 1_000)),
      async follow(): Promise<number> {
        for (let steps = 0; ; steps++) {
          if ((await sink.catchUp()) === null) return steps;
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
    await sink.open();
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
      const done = await sink.catchUp();
      assert.is(done?.length, 1);
      assert.is(done?.[0]?.seq, story.bad.get("template.added"));
      assert.equal(await found(), [story.kept]);
    },
  );
}
late.run();
