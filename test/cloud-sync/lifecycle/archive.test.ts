import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Archive, createArchive } from "../../../cloud-sync/lifecycle/archive.ts";
import { createArchiveReader } from "../../../cloud-sync/lifecycle/archive-reader.ts";
import { createDeadLetters } from "../../../cloud-sync/log/dead-letters.ts";
import type { ArchiveReader } from "../../../cloud-sync/log/event-log.ts";
import { makePartition } from "../../../cloud-sync/log/partitions.ts";
import { createFolderStore } from "../../../cloud-sync/objects/folder.ts";
import type { ObjectStore } from "../../../cloud-sync/objects/object-store.ts";
import { createSinkControl } from "../../../cloud-sync/sinks/runner/control.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import { Central, Device, lines } from "../../support/central.ts";
import { startServer } from "../../support/engines.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const archives = suite("months of the log in the archive");
const central = new Central(startServer);
const unaborted = new AbortController().signal;
const SINK = "postgres";

let temp: ReturnType<typeof tempFolder>;
let objects: ObjectStore;
let archive: Archive;
let archived: ArchiveReader;
let nowMs = Date.now();
const month = "2026-02";

/** Puts everything that is there into an earlier month. */
async function age(): Promise<void> {
  await central.database.query(makePartition(month));
  await central.database.query(
    `UPDATE event_log SET received_at = '2026-02-03T04:05:06.123457Z'::timestamptz
       + position * interval '1 microsecond'`,
  );
}

async function passed(position: bigint): Promise<void> {
  const row = "INSERT INTO sink_cursors (sink, position) VALUES ($1, $2)";
  await central.database.query(`${row} ON CONFLICT (sink) DO UPDATE SET position = $2`, [
    SINK,
    position,
  ]);
}

/** Every column of every row, byte for byte. */
async function rows(): Promise<unknown> {
  const all = "SELECT e::text AS row FROM event_log e ORDER BY position";
  return central.database.query(all);
}

async function lastPosition(): Promise<bigint> {
  return (await central.log.readAfter(0n, 10_000)).at(-1)?.position ?? 0n;
}

if (needsPostgres()) {
  archives.before.each(async () => {
    await central.begin();
    nowMs = Date.now();
    temp = tempFolder("archive");
    objects = createFolderStore({ folder: temp.path, newId: randomUUID });
    const clock = { now: () => nowMs };
    archived = createArchiveReader(central.database, objects);
    archive = createArchive({ database: central.database, objects, sinks: [SINK], clock });
  });
  archives.after.each(async () => {
    await central.end();
    temp.remove();
  });
  archives.after(() => central.stop());

  archives("a month that is over goes, and comes back byte for byte", async () => {
    const [door, other] = [new Device(2_300), new Device(40)];
    const emptied = other.links.map((link) => (link.seq === 7 ? { ...link, body: null } : link));
    for (let seq = 1; seq < 2_300; seq += 500) {
      await central.log.append([door.arrival(seq, Math.min(seq + 499, 2_300))]);
    }
    await central.log.append([other.arrival(1, 40, emptied)]);
    await age();
    await passed(await lastPosition());
    const before = await rows();
    assert.equal(await archive.due(), [month]);
    const manifest = await archive.archive(month, unaborted);
    assert.equal([manifest.entries, manifest.logs.length, await archive.due()], [2_340, 2, []]);
    assert.equal(manifest.logs[1], { log: other.log, first: 1, last: 40, entries: 40 });
    await archive.drop(month, unaborted);
    assert.equal(await rows(), []);
    assert.equal(await archive.verify(month, unaborted), manifest);
    await archive.restore(month, unaborted);
    await archive.restore(month, unaborted);
    assert.equal(await rows(), before);
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
    assert.is((await central.log.verify(door.log, [])).fault, null);
    assert.equal(
      (await archive.list()).map(({ droppedAt }) => droppedAt),
      [null],
    );
  });

  archives("the log goes on while earlier months are away", async () => {
    const door = new Device(20);
    await central.log.append([door.arrival(1, 10)]);
    await age();
    await passed(await lastPosition());
    await archive.archive(month, unaborted);
    await archive.drop(month, unaborted);
    assert.equal(await central.kinds(door.arrival(11, 20)), ["appended"]);
    const missing = (await central.log.verify(door.log, [])).fault;
    assert.equal([missing?.kind, missing?.seq], ["missing", 1], "the database alone lacks them");
    const whole = await central.log.verify(door.log, [], archived);
    assert.equal([whole.fault, whole.entries], [null, 20]);
    assert.equal(await lines(central.log, door.log, 0, archived), door.links.map(lineOf));
    await archive.restore(month, unaborted);
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
    assert.is((await central.log.verify(door.log, [])).fault, null);
  });

  archives("nothing is dropped that a sink has not passed, or has rejected", async () => {
    const door = new Device(10);
    await central.log.append([door.arrival()]);
    await age();
    await rejects(() => archive.drop(month, unaborted), "archive.unknown");
    await archive.archive(month, unaborted);
    const never = await rejects(() => archive.drop(month, unaborted), "archive.needed");
    assert.match(never.message, SINK);
    const last = await lastPosition();
    await passed(last - 1n);
    await rejects(() => archive.drop(month, unaborted), "archive.needed");
    await passed(last);
    await central.database.query(
      "INSERT INTO sink_rejects (sink, position, log, seq, reason) VALUES ($1, $2, $3, 1, 'odd')",
      [SINK, last, door.log],
    );
    await rejects(() => archive.drop(month, unaborted), "archive.needed");
    await createSinkControl(central.database).dropRejects(SINK);
    await archive.drop(month, unaborted);
  });

  archives("a changed object, or a changed row, keeps the month where it is", async () => {
    await central.log.append([new Device(10).arrival()]);
    await age();
    await passed(await lastPosition());
    const { files } = await archive.archive(month, unaborted);
    const path = join(temp.path, files[0]?.key ?? "");
    const content = readFileSync(path);
    writeFileSync(path, content.subarray(1));
    await rejects(() => archive.drop(month, unaborted), "archive.broken");
    writeFileSync(path, content);
    await central.database.query("UPDATE event_log SET actor = 'cli:mallory' WHERE seq = 3");
    await rejects(() => archive.drop(month, unaborted), "archive.broken");
    assert.is((await central.log.readAfter(0n, 100)).length, 10);
    await archive.archive(month, unaborted);
    await archive.drop(month, unaborted);
    writeFileSync(path, content.subarray(1));
    await rejects(() => archive.restore(month, unaborted), "archive.broken");
  });

  archives("what is written into a month while it is compared is not lost with it", async () => {
    const door = new Device(10);
    await central.log.append([door.arrival()]);
    await age();
    const { database, log } = central;
    await database.query(
      `INSERT INTO dead_letters (device, log, seq, reason, payload)
       SELECT $1, log, seq, 'unknown then', convert_to(body, 'UTF8') FROM event_log WHERE seq = 4`,
      [door.device],
    );
    await database.query("UPDATE event_log SET body = NULL WHERE seq = 4");
    await passed(await lastPosition());
    await archive.archive(month, unaborted);
    const letters = createDeadLetters(database, log);
    const [letter] = await letters.letters();
    let retried: Promise<unknown> | undefined;
    const get: ObjectStore["get"] = async (key) => {
      // The manifest is read before the month is locked, its files after.
      if (!key.endsWith(".json")) {
        retried ??= rejects(() => letters.retry(letter?.id ?? 0), "letter.archived");
        await new Promise((done) => setTimeout(done, 300));
      }
      return objects.get(key);
    };
    const clock = { now: () => nowMs };
    const slow = createArchive({ database, objects: { ...objects, get }, sinks: [SINK], clock });
    await slow.drop(month, unaborted);
    await retried;
    assert.equal([await rows(), (await letters.letters()).length], [[], 1]);
    await slow.drop(month, unaborted);
    await archive.restore(month, unaborted);
    assert.is(await letters.retry(letter?.id ?? 0), null);
    assert.is((await log.verify(door.log, [])).fault, null);
  });

  archives("a month in which entries may still come in is not archived", async () => {
    await central.log.append([new Device(3).arrival()]);
    const current = new Date().toISOString().slice(0, 7);
    assert.equal(await archive.due(), []);
    for (const each of [current, "2026-02", "yesterday", "2026-01; DROP TABLE logs"]) {
      await rejects(() => archive.archive(each, unaborted), "archive.open");
    }
  });
}

archives.run();
