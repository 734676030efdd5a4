import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createCentralLog } from "../../../cloud-sync/log/event-log.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import { Central, Device, lines } from "../../support/central.ts";
import { type Engine, startOwn, startServer } from "../../support/engines.ts";
import { logOf, visitLike } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const onServer = suite("the central log, on PostgreSQL 15");
const onOwn = suite("the central log, on a PostgreSQL of our own");

function promises(tests: typeof onServer, start: () => Promise<Engine>): void {
  const central = new Central(start);
  tests.before.each(() => central.begin());
  tests.after.each(() => central.end());
  tests.after(() => central.stop());

  tests("emptied entries keep their place, and are explained by what was shed", async () => {
    const door = new Device(4);
    const data = { bytes: 10, count: 2, from: 2, to: 3, types: ["visit.ended"] };
    const shed = { ...visitLike(9), data, subject: null, type: "buffer.shed" };
    door.links.push(...logOf(door.log, [shed], door.links[3]));
    const emptied = door.links.map((link) =>
      link.seq === 2 || link.seq === 3 ? { ...link, body: null } : link,
    );
    await central.log.append([door.arrival(1, 4, emptied)]);
    assert.is((await central.log.verify(door.log, [])).fault?.kind, "emptied", "not yet explained");
    await central.log.append([door.arrival(5, 5, emptied)]);
    assert.equal(await lines(central.log, door.log), emptied.map(lineOf));
    const { fault, emptied: count } = await central.log.verify(door.log, []);
    assert.equal([fault, count], [null, 2]);
  });

  tests("a device's shelf of unreadable messages is full one day", async () => {
    const letter = {
      device: randomUUID(),
      reason: "it is not JSON",
      payload: Buffer.from("x\0\xff", "latin1"),
    };
    assert.is(await central.log.shelve(letter), true);
    await central.database.query(
      `INSERT INTO dead_letters (device, reason, payload)
       SELECT device, reason, payload FROM dead_letters, generate_series(2, 1000)`,
    );
    assert.is(await central.log.shelve(letter), false);
    assert.is(await central.log.shelve({ ...letter, device: randomUUID() }), true);
  });

  tests("whoever changes a row is found out", async () => {
    const door = new Device(7);
    await central.log.append([door.arrival()]);
    const change = "UPDATE event_log SET body = replace(body, 'known', 'other') WHERE seq = 4";
    await central.database.query(change);
    const changed = await central.log.verify(door.log, []);
    assert.equal([changed.fault?.seq, changed.fault?.kind], [4, "changed"]);
    await central.database.query("DELETE FROM event_log WHERE seq = 4");
    const missing = await central.log.verify(door.log, []);
    assert.equal([missing.fault?.seq, missing.fault?.kind], [4, "missing"]);
    await rejects(() => central.log.verify(randomUUID(), []), "log.unknown");
  });

  tests(
    "a page of the largest entries is no larger than memory is, and none is passed over",
    async () => {
      const door = new Device(40);
      await central.log.append([door.arrival()]);
      await central.database.query("UPDATE event_log SET body = repeat('x', 800000) WHERE seq > 3");
      const pages: number[] = [];
      for (let position = 0n; ; ) {
        const page = await central.log.readAfter(position, 1_000);
        const last = page.at(-1);
        if (last === undefined) break;
        pages.push(page.length);
        position = last.position;
      }
      assert.is(
        pages.reduce((sum, length) => sum + length, 0),
        40,
      );
      assert.ok(pages.length > 1 && Math.max(...pages) < 30);
    },
  );

  tests(
    "entries of some types are read past all others, and none of them is passed over",
    async () => {
      const door = new Device(40);
      await central.log.append([door.arrival()]);
      const all = await central.log.readAfter(0n, 100);
      const last = all.at(-1)?.position ?? 0n;
      assert.equal(await central.log.readByType(["store.opened"], 0n, 100), {
        entries: all.filter(({ type }) => type === "store.opened"),
        upTo: last,
      });
      const tenth = all[9]?.position ?? 0n;
      assert.equal(await central.log.readByType(["person.erased"], 0n, 10), {
        entries: [],
        upTo: tenth,
      });
      assert.equal(await central.log.readByType(["store.opened"], last, 10), {
        entries: [],
        upTo: null,
      });
      await central.database.query("UPDATE event_log SET body = repeat('x', 800000) WHERE seq > 3");
      const types = [...new Set(all.flatMap(({ type }) => type ?? []))];
      const seen: number[] = [];
      let pages = 0;
      for (let position: bigint | null = 0n; position !== null; pages++) {
        const { entries, upTo } = await central.log.readByType(types, position, 1_000);
        seen.push(...entries.map(({ seq }) => seq));
        position = upTo;
      }
      assert.equal(
        seen,
        door.links.map(({ seq }) => seq),
      );
      assert.ok(pages > 2, "no page is larger than memory is");
    },
  );

  tests("positions come in the order of commits, whoever appends at the same time", async () => {
    const doors = Array.from({ length: 8 }, () => new Device(60));
    const instances = doors.map(() => createCentralLog(central.database));
    let done = false;
    const seen: string[] = [];
    const reader = (async (): Promise<void> => {
      for (let position = 0n; ; ) {
        const last = done;
        const page = await central.log.readAfter(position, 37);
        for (const entry of page) {
          assert.ok(entry.position > position);
          position = entry.position;
          seen.push(`${entry.log}:${entry.seq}`);
        }
        if (last && page.length === 0) return;
      }
    })();
    await Promise.all(
      doors.map(async (door, i) => {
        for (let seq = 1; seq <= 60; seq += 5)
          await instances[i]?.append([door.arrival(seq, seq + 4)]);
      }),
    );
    done = true;
    await reader;
    assert.is(seen.length, 480);
    assert.is(new Set(seen).size, 480, "nothing was read twice, nothing was missed");
  });

  tests("two instances that are given the same append it once", async () => {
    const door = new Device(20);
    const other = createCentralLog(central.database);
    const outcomes = await Promise.all(
      [central.log, other].map((each) => each.append([door.arrival()])),
    );
    assert.equal(
      outcomes
        .flat()
        .map(({ kind }) => kind)
        .sort(),
      ["appended", "duplicate"],
    );
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
  });

  tests("a commit that is undone leaves nothing, though it was the first of a month", async () => {
    const door = new Device(3);
    await central.database.query("ALTER TABLE event_log ADD CONSTRAINT refused CHECK (seq < 2)");
    await central.log.append([door.arrival()]).then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /refused/),
    );
    await central.database.query("ALTER TABLE event_log DROP CONSTRAINT refused");
    assert.equal(await central.log.readAfter(0n, 10), []);
    assert.equal(await central.log.logs(), []);
    assert.equal(await central.kinds(door.arrival()), ["appended"]);
  });

  tests("this month and the next have a partition of their own", async () => {
    await central.log.append([new Device(2).arrival()]);
    const text =
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'event_log'::regclass ORDER BY 1";
    const names = (await central.database.query(text)) as readonly { name: string }[];
    const now = new Date();
    const month = (later: number): string =>
      new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + later, 1))
        .toISOString()
        .slice(0, 7)
        .replace("-", "_");
    assert.equal(
      names.map(({ name }) => name),
      [`event_log_${month(0)}`, `event_log_${month(1)}`],
    );
  });
}

if (needsPostgres()) promises(onServer, startServer);
promises(onOwn, startOwn);

onServer.run();
onOwn.run();
