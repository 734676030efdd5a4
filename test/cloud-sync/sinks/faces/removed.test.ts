import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createFaceEncodings } from "../../../../cloud-sync/sinks/faces/sink.ts";
import { DirectProjection } from "../../../support/direct-projection.ts";
import { startFast } from "../../../support/engines.ts";
import { added, DEVICE, entry, LOG, PACK } from "../../../support/face-entries.ts";
import { randomEmbedding, seeded } from "../../../support/facts.ts";
import { suite } from "../../../support/suite.ts";

const removing = suite("face encodings of removed templates");

removing("are found no more, whatever comes again", async () => {
  const server = await startFast();
  const database = await server.fresh();
  const { projection, nearest } = createFaceEncodings({
    database,
    devicesOf: async () => new Map([[LOG, DEVICE]]),
    open: async (_, sealed) => Buffer.from(sealed, "base64"),
  });
  const sink = new DirectProjection(database, projection);
  await sink.open();
  const [own, other] = [randomUUID(), randomUUID()];
  const random = seeded(14);
  const looks = [randomEmbedding(random), randomEmbedding(random)];
  const all = [1, 2].map((position) =>
    added(position, own, looks[position - 1] ?? randomEmbedding(random)),
  );
  const template = "00000000-0000-4000-8000-000000000001";
  const probe = randomEmbedding(random);
  const found = async () => (await nearest(probe, PACK, 5)).map((each) => each.template);
  await sink.write(all);
  await sink.write([entry(3, "template.removed", other, { template })]);
  assert.is((await found()).length, 2, "nobody takes out what is another's");
  await sink.write([entry(4, "template.removed", own, { template })]);
  assert.not((await found()).includes(template));
  await sink.write(all);
  assert.is((await found()).length, 1);
  const together = randomUUID();
  const fifth = "00000000-0000-4000-8000-000000000005";
  const both = [
    added(5, together, randomEmbedding(random)),
    entry(6, "template.removed", together, { template: fifth }),
  ];
  await sink.write(both);
  assert.is((await found()).length, 1, "also where both come in one batch");
  await database.close();
  await server.stop();
});

removing.run();
