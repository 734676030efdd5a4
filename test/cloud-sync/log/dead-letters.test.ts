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

/** A device's log whose entry 4 was unreadable when it came, and the id of its dead letter. */
async function unread(door: Device): Promise<number> {
  await central.log.append([door.arrival()]);
  await central.database.query(
    `INSERT INTO dead_letters (device, log, seq, reason, payload)
     SELECT $1, log, seq, 'unknown then', convert_to(body, 'UTF8') FROM event_log WHERE seq = 4`,
    [door.device],
  );
  const emptied = `UPDATE event_log SET body = NULL, type = NULL, at = NULL, subject = NULL, actor = NULL
    WHERE seq = 4`;
  await central.database.query(emptied);
  const [letter] = await createDeadLetters(central.database, central.log).letters();
  return letter?.id ?? 0;
}

deadLettering(
  "the only copy of an entry stays while its place is in the archive alone",
  async () => {
    const { database, log } = central;
    const deadLetters = createDeadLetters(database, log);
    const door = new Device(6);
    const id = await unread(door);
    const gone = "CREATE TABLE kept AS SELECT * FROM event_log";
    await database.query(gone);
    await database.query("DELETE FROM event_log");
    await rejects(() => deadLetters.retry(id), "letter.archived");
    await database.query(
      `INSERT INTO log_archives (month, entries, first_position, last_position, sha256, dropped_at)
     SELECT month, 6, 1, 6, sha256('x'), now() FROM unnest(ARRAY[
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'), '2020-01', '2999-01']) AS month`,
    );
    const refused = await rejects(() => deadLetters.retry(id), "letter.archived");
    const month = new Date().toISOString().slice(0, 7);
    assert.match(refused.hint ?? "", `porchlight-cloud archive restore ${month}`);
    assert.is((await deadLetters.letters()).length, 1);
    await database.query("INSERT INTO event_log SELECT * FROM kept");
    assert.is(await deadLetters.retry(id), null);
    assert.equal(await deadLetters.letters(), []);
    assert.is((await log.verify(door.log, [])).fault, null);
  },
);

deadLettering("filled already, it goes; where other content is, it stays", async () => {
  const { database, log } = central;
  const deadLetters = createDeadLetters(database, log);
  const id = await unread(new Device(6));
  await database.query("UPDATE event_log SET body = 'another' WHERE seq = 4");
  assert.match((await deadLetters.retry(id)) ?? "", /holds other content/);
  await database.query(
    "UPDATE event_log SET body = convert_from(payload, 'UTF8') FROM dead_letters d WHERE d.seq = event_log.seq",
  );
  assert.is(await deadLetters.retry(id), null);
  assert.equal(await deadLetters.letters(), []);
});

deadLettering("an entry is put into its place, and read by those who had passed it", async () => {
  const deadLetters = createDeadLetters(central.database, central.log);
  const door = new Device(6);
  await unread(door);
  const before = await central.log.readAfter(0n, 100);
  const last = before.at(-1)?.position ?? 0n;
  const [letter] = await deadLetters.letters();
  assert.equal([letter?.log, letter?.seq], [door.log, 4]);
  const exported = await lines(central.log, door.log);
  assert.is(await deadLetters.retry(letter?.id ?? 0), null);
  const after = await central.log.readAfter(last, 100);
  assert.equal(
    after.map(({ seq, type }) => [seq, type]),
    [[4, "visit.ended"]],
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
