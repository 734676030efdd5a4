import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import { createDeadLetters } from "../../../cloud-sync/log/dead-letters.ts";
import { startOf } from "../../../shared/log/cursor.ts";
import { encodeBatch } from "../../../shared/protocol/batch.ts";
import { Central, Device, lines } from "../../support/central.ts";
import { startOwn } from "../../support/engines.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const deadLettering = suite("what could not be taken in");
const central = new Central(startOwn);
deadLettering.before.each(() => central.begin());
deadLettering.after.each(() => central.end());
deadLettering.after(() => central.stop());

deadLettering("a message is kept as it came, and taken in once it can be", async () => {
  const deadLetters = createDeadLetters(central.database, central.log);
  const door = new Device(5);
  const { payload } = encodeBatch(startOf(door.log), door.links);
  const { device } = door;
  await central.log.addDeadLetter({ device, reason: "an older centre did not know it", payload });
  await central.log.addDeadLetter({
    device,
    reason: "it is no batch",
    payload: gzipSync("no batch"),
  });
  const [good, bad] = await deadLetters.letters(device);
  assert.equal([good?.log, good?.seq, good?.bytes], [null, null, payload.length]);
  assert.equal(await deadLetters.payload(good?.id ?? 0), payload);
  assert.is(await deadLetters.retry(good?.id ?? 0), null);
  assert.is((await lines(central.log, door.log)).length, 5);
  assert.match((await deadLetters.retry(bad?.id ?? 0)) ?? "", /header/);
  assert.equal(
    (await deadLetters.letters()).map(({ id }) => id),
    [bad?.id],
  );
  await deadLetters.drop(bad?.id ?? 0);
  await rejects(() => deadLetters.payload(bad?.id ?? 0), "letter.unknown");
  await rejects(() => deadLetters.drop(bad?.id ?? 0), "letter.unknown");
});

deadLettering("what does not follow its log stays a dead letter, with the reason", async () => {
  const deadLetters = createDeadLetters(central.database, central.log);
  const door = new Device(6);
  const second = encodeBatch(door.at(3), door.links.slice(3)).payload;
  await central.log.addDeadLetter({ device: door.device, reason: "x", payload: second });
  const [letter] = await deadLetters.letters();
  assert.match((await deadLetters.retry(letter?.id ?? 0)) ?? "", /does not follow/);
  assert.is((await deadLetters.letters()).length, 1);
});

deadLettering("an entry is put into its place, and read by those who had passed it", async () => {
  const deadLetters = createDeadLetters(central.database, central.log);
  const door = new Device(6);
  await central.log.append([door.arrival()]);
  const before = await central.log.readAfter(0n, 100);
  const last = before.at(-1)?.position ?? 0n;
  // As if this version had not been able to read entry 4 when it came.
  const emptied = `UPDATE event_log SET body = NULL, type = NULL, at = NULL, subject = NULL, actor = NULL
    WHERE seq = 4`;
  await central.database.query(
    `INSERT INTO dead_letters (device, log, seq, reason, payload)
     SELECT $1, log, seq, 'unknown then', convert_to(body, 'UTF8') FROM event_log WHERE seq = 4`,
    [door.device],
  );
  await central.database.query(emptied);
  const [letter] = await deadLetters.letters();
  assert.equal([letter?.log, letter?.seq], [door.log, 4]);
  const exported = await lines(central.log, door.log);
  assert.is(await deadLetters.retry(letter?.id ?? 0), null);
  const after = await central.log.readAfter(last, 100);
  assert.equal(
    after.map(({ seq, type }) => [seq, type]),
    [[4, before[3]?.type]],
  );
  assert.equal(await lines(central.log, door.log), exported, "the export is what it was");
  assert.is((await central.log.verify(door.log, [])).fault, null);
});

deadLettering("both stories of a frozen log can be seen side by side", async () => {
  const deadLetters = createDeadLetters(central.database, central.log);
  const door = new Device(6);
  await central.log.append([door.arrival()]);
  const other = door.other(4);
  await central.kinds(door.arrival(4, 6, other));
  const forks = await deadLetters.forks(door.log);
  assert.equal(
    forks.map(({ seq, stored, other: told }) => [seq, stored, told]),
    [4, 5, 6].map((seq) => [seq, door.links[seq - 1]?.hash, other[seq - 1]?.hash]),
  );
});

deadLettering.run();
