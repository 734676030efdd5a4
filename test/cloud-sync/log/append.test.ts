import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { z } from "zod";
import { appendAll } from "../../../cloud-sync/log/append.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import type { Cursor } from "../../../shared/log/cursor.ts";
import { decodeBatch, encodeBatch } from "../../../shared/protocol/batch.ts";
import { Central, Device, lines } from "../../support/central.ts";
import { type Engine, startOwn, startServer } from "../../support/engines.ts";
import { batchOf, logOf, opened, visitLike } from "../../support/links.ts";
import { unpacked } from "../../support/mutate.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const ran = z.object({ name: z.string(), runs: z.int() });
const onServer = suite("what comes into the central log, on PostgreSQL 15");
const onOwn = suite("what comes into the central log, on a PostgreSQL of our own");

function promises(tests: typeof onServer, start: () => Promise<Engine>): void {
  const central = new Central(start);
  tests.before.each(() => central.begin());
  tests.after.each(() => central.end());
  tests.after(() => central.stop());

  tests("takes in a log and gives it back byte for byte, columns beside it", async () => {
    const door = new Device(5);
    const [outcome] = await central.log.append([door.arrival()]);
    assert.equal(outcome, { kind: "appended", cursor: door.at(5), reason: null });
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
    assert.equal(await lines(central.log, door.log, 3), door.links.slice(3).map(lineOf));
    const [first, second] = await central.log.readAfter(0n, 10);
    assert.is(first?.type, "store.opened");
    const { type, at, subject, actor, body, seq, hash } = second ?? {};
    const { at: expectedAt, subject: expectedSubject } = visitLike(0);
    assert.equal(
      { type, at, subject, actor },
      { type: "visit.ended", at: expectedAt, subject: expectedSubject, actor: "device" },
    );
    assert.equal({ seq, hash, body }, door.links[1]);
    assert.ok(Math.abs(Date.now() - (second?.receivedAt.getTime() ?? 0)) < 60_000);
    const report = await central.log.verify(door.log, []);
    assert.equal([report.entries, report.fault], [5, null]);
  });

  tests("a commit's statements are parsed once by each connection", async () => {
    const door = new Device(30);
    const parsed = await central.database.transaction(async (connection) => {
      for (let n = 1; n <= 30; n += 3) {
        await appendAll(connection, [door.arrival(n, n + 2), door.arrival(1, 1)]);
      }
      return await connection.query(
        `SELECT name, (generic_plans + custom_plans)::int AS runs FROM pg_prepared_statements
         WHERE name LIKE 'porchlight_append_%' ORDER BY name`,
      );
    });
    const runs = new Map(
      z
        .array(ran)
        .parse(parsed)
        .map((each) => [each.name, each.runs]),
    );
    for (const name of ["lock", "heads", "hashes", "move_heads"]) {
      assert.ok((runs.get(`porchlight_append_${name}`) ?? 0) >= 9, `${name} ran as it was parsed`);
    }
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
  });

  tests("the same again is a no-op, whole, in part and overlapping", async () => {
    const door = new Device(9);
    assert.equal(await central.kinds(door.arrival(1, 5)), ["appended"]);
    assert.equal(await central.kinds(door.arrival(1, 5), door.arrival(2, 4), door.arrival(5, 5)), [
      ...["duplicate", "duplicate", "duplicate"],
    ]);
    assert.equal(await central.kinds(door.arrival(3, 9), door.arrival(3, 9)), [
      "appended",
      "duplicate",
    ]);
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
    const [again] = await central.log.append([door.arrival(2, 4)]);
    assert.equal(again?.cursor, door.at(9), "what is acknowledged is where the log stands");
  });

  tests("what came too early is asked for again from where the log stands", async () => {
    const door = new Device(9);
    const [early] = await central.log.append([door.arrival(4, 9)]);
    assert.equal(early, { kind: "gap", cursor: door.at(0), reason: null });
    const outcomes = await central.log.append([
      door.arrival(1, 3),
      door.arrival(6, 9),
      door.arrival(4, 9),
    ]);
    assert.equal(
      outcomes.map(({ kind }) => kind),
      ["appended", "gap", "appended"],
    );
    assert.equal(outcomes[1]?.cursor, door.at(3));
    assert.is((await central.log.verify(door.log, [])).entries, 9);
  });

  tests("another story freezes its log, keeps both, and leaves other devices alone", async () => {
    for (const [first, splits] of [
      [4, 4],
      [2, 4],
      [7, 6],
      [6, 6],
    ] as const) {
      const [door, neighbour] = [new Device(8), new Device(2)];
      await central.log.append([door.arrival(1, 6)]);
      const other = door.other(splits);
      const arrivals = [door.arrival(first, 8, other), neighbour.arrival(), door.arrival(7, 8)];
      const outcomes = await central.log.append(arrivals);
      assert.equal(
        outcomes.map(({ kind }) => kind),
        ["fork", "appended", "fork"],
      );
      assert.equal(outcomes[0]?.cursor, door.at(6));
      assert.equal(await lines(central.log, door.log), door.links.slice(0, 6).map(lineOf));
      const kept =
        "SELECT seq::int, encode(hash, 'hex') AS hash FROM forks WHERE log = $1 ORDER BY seq";
      const rows = (await central.database.query(kept, [door.log])) as readonly {
        seq: number;
        hash: string;
      }[];
      const story = other.slice(Math.max(first, splits) - 1);
      for (const { seq, hash } of story)
        assert.ok(rows.some((row) => row.seq === seq && row.hash === hash));
      const state = (await central.log.logs()).find((each) => each.log === door.log);
      assert.instance(state?.frozenAt, Date);
      assert.equal(
        await central.kinds(door.arrival(2, 5)),
        ["duplicate"],
        "what is known is known",
      );
    }
  });

  tests("a new log of a known device names its parent, at a place that is there", async () => {
    const door = new Device(6);
    await central.log.append([door.arrival(1, 4)]);
    const next = (parent: Cursor | null, device = door.device) => {
      const id = randomUUID();
      return { device, batch: batchOf(id, logOf(id, [opened(device, parent), visitLike(1)])) };
    };
    const reason = async (arrival: ReturnType<typeof next>): Promise<string> => {
      const [outcome] = await central.log.append([arrival]);
      return `${outcome?.kind} ${outcome?.reason ?? outcome?.cursor.seq}`;
    };
    assert.match(await reason(next(null)), /^invalid it names no parent/);
    assert.is(
      await reason(next({ ...door.at(3), log: randomUUID() })),
      "gap 0",
      "so has all of it",
    );
    assert.match(
      await reason(next({ ...door.at(3), hash: "f".repeat(64) })),
      /^invalid its parent has another entry 3/,
    );
    assert.match(
      await reason(next({ ...door.at(4), hash: "f".repeat(64) })),
      /^invalid its parent has another entry 4/,
    );
    assert.is(await reason(next(door.at(6))), "gap 4", "the rest of the parent has to come first");
    const stranger = new Device(1);
    assert.is(await reason(next(door.at(3), stranger.device)), "gap 0", "and learns nothing of it");
    assert.is(await reason(next(door.at(3))), "appended 2");
    const [, child] = await central.log.logs();
    assert.equal(child?.parent, door.at(3));
  });

  tests("a header that was damaged on its way is refused, and freezes nothing", async () => {
    const door = new Device(6);
    await central.log.append([door.arrival(1, 4)]);
    // The chain is that of 5 and 6; the header says that it begins at 2, or at 5 for 4 to 6.
    for (const [from, said] of [
      [5, 2],
      [4, 5],
    ] as const) {
      const whole = encodeBatch(door.at(from - 1), door.links.slice(from - 1)).payload;
      const plain = unpacked(whole).toString("utf8").replace(`"seq":${from}`, `"seq":${said}`);
      const batch = decodeBatch(Buffer.from(plain));
      assert.equal(await central.kinds({ device: door.device, batch }), ["invalid"]);
    }
    assert.is((await central.log.logs())[0]?.frozenAt, null);
    assert.equal(await central.kinds(door.arrival(5)), ["appended"]);
  });

  tests("logs that come in one commit are listed in their order", async () => {
    const door = new Device(1);
    const lives = [door.log];
    const arrivals = [door.arrival()];
    let parent = door.at(1);
    for (let life = 0; life < 6; life++) {
      const log = randomUUID();
      const links = logOf(log, [opened(door.device, parent)]);
      arrivals.push({ device: door.device, batch: batchOf(log, links) });
      parent = { log, seq: 1, hash: links[0]?.hash ?? "" };
      lives.push(log);
    }
    await central.log.append(arrivals);
    assert.equal(
      (await central.log.logs()).map(({ log }) => log),
      lives,
    );
  });

  tests("a device cannot hand in another's log, nor open one for another", async () => {
    const [door, thief] = [new Device(4), new Device(1)];
    await central.log.append([door.arrival(1, 2)]);
    const stolen = { device: thief.device, batch: door.arrival(3, 4).batch };
    const opening = { device: thief.device, batch: new Device(2).arrival().batch };
    const outcomes = await central.log.append([stolen, opening]);
    assert.equal(
      outcomes.map(({ kind }) => kind),
      ["invalid", "invalid"],
    );
    assert.match(outcomes[0]?.reason ?? "", /another device's/);
    assert.match(outcomes[1]?.reason ?? "", /opened by another device/);
    assert.is(outcomes[0]?.cursor.seq, 0, "nor does it learn how far the other is");
    assert.equal(await lines(central.log, door.log), door.links.slice(0, 2).map(lineOf));
  });

  tests("columns may be as long, as odd and as far off as the format allows", async () => {
    const door = new Device(1);
    const facts = [
      { ...visitLike(1), type: `long.${"x".repeat(300_000)}` },
      { ...visitLike(2), actor: `central:${"😀".repeat(64)}` },
      { ...visitLike(3), at: Number.MIN_SAFE_INTEGER },
      { ...visitLike(4), at: Number.MAX_SAFE_INTEGER, subject: null },
      { ...visitLike(5), subject: "00000000-0000-0000-0000-000000000000" },
      { ...visitLike(6), data: { text: "\u0000 \\ \t é 😀 \uffff" } },
    ];
    door.links.push(...logOf(door.log, facts, door.links[0]));
    assert.equal(await central.kinds(door.arrival()), ["appended"]);
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
    const rows = (await central.log.readAfter(0n, 10)).slice(1);
    assert.equal(
      rows.map(({ type, at, actor, subject }) => ({ type, at, actor, subject })),
      facts.map(({ type, at, actor, subject }) => ({ type, at, actor, subject })),
    );
  });

  tests("a log begins with its opening", async () => {
    const [device, id] = [randomUUID(), randomUUID()];
    const headless = { device, batch: batchOf(id, logOf(id, [visitLike(1)])) };
    assert.equal(await central.kinds(headless), ["invalid"]);
    assert.equal(await central.log.logs(), []);
  });

  tests(
    "an entry that is none is shelved with its reason, and does not hold up the rest",
    async () => {
      const door = new Device(2);
      const poison = '{"nonsense":"\\u0000"}';
      door.links.push(...logOf(door.log, [poison, visitLike(3)], door.links[1]));
      const [outcome] = await central.log.append([door.arrival()]);
      assert.equal(outcome, { kind: "appended", cursor: door.at(4), reason: null });
      const entries = await central.log.readAfter(0n, 10);
      assert.equal(
        entries.map(({ body }) => body === null),
        [false, false, true, false],
      );
      const letters = await central.database.query(
        "SELECT seq::int, reason, payload FROM dead_letters",
      );
      const reason = "the member actor does not stand where it belongs";
      assert.equal(letters, [{ seq: 3, reason, payload: Buffer.from(poison) }]);
      assert.equal(
        await lines(central.log, door.log),
        door.links.map(lineOf),
        "the export has it, as the device's has",
      );
      assert.is((await central.log.verify(door.log, [])).fault, null);
    },
  );
}

if (needsPostgres()) promises(onServer, startServer);
promises(onOwn, startOwn);

onServer.run();
onOwn.run();
