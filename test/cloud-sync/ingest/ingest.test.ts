import { randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import { createIngest } from "../../../cloud-sync/ingest/ingest.ts";
import { WAIT_MS } from "../../../cloud-sync/ingest/reorder-buffer.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import { type Cursor, startOf } from "../../../shared/log/cursor.ts";
import { encodeBatch, PAYLOAD_BYTES_MAX } from "../../../shared/protocol/batch.ts";
import type { Nack } from "../../../shared/protocol/wire.ts";
import { Central, Device as Log, lines } from "../../support/central.ts";
import { startServer } from "../../support/engines.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { logOf, opened, visitLike } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const taking = suite("ingest");
const central = new Central(startServer);
const NEVER = new AbortController().signal;
let now = 0;

interface Said {
  readonly device: string;
  readonly answer: { readonly ack: Cursor } | { readonly nack: Nack };
}

function ingestOver(log = central.log, window?: { messages: number; bytes: number }) {
  const said: Said[] = [];
  const { logger, lines: logged } = keepingLogger();
  const ingest = createIngest({
    log,
    answer: (device, { nonce: _, ...answer }) => said.push({ device, answer }),
    clock: { monotonicMs: () => now },
    random: Math.random,
    logger,
    ...(window && { window }),
  });
  const settle = async (): Promise<void> => {
    while (await ingest.commit());
  };
  const take = (d: string, p: Buffer): Promise<void> => ingest.take(d, p, NEVER);
  return { ingest, said, logged, settle, take };
}

/** Entries of a log as one message. */
function message({ log, links }: Log, first: number, last: number): Buffer {
  const before = links[first - 2];
  const previous = before === undefined ? startOf(log) : { log, ...before };
  return encodeBatch(previous, links.slice(first - 1, last)).payload;
}

const nackOf = (said: readonly Said[]) =>
  said.map(({ answer }) => ("nack" in answer ? `${answer.nack.reason} ${answer.nack.seq}` : "ack"));

if (needsPostgres()) {
  taking.before.each(() => central.begin());
  taking.after.each(() => central.end());
  taking.after(() => central.stop());

  taking("commits what many devices sent at once, and acknowledges each log once", async () => {
    const { take, said, settle, ingest } = ingestOver();
    const doors = Array.from({ length: 20 }, () => new Log(30));
    for (const door of doors) {
      await take(door.device, message(door, 1, 10));
      await take(door.device, message(door, 11, 30));
    }
    assert.is(said.length, 0, "nothing is acknowledged before the commit");
    assert.ok(await ingest.commit());
    assert.not(await ingest.commit(), "one commit was enough");
    assert.is(said.length, doors.length);
    for (const door of doors) {
      const { answer } = said.find(({ device }) => device === door.device) ?? {};
      assert.equal(answer, { ack: door.at(30) });
    }
    await settle();
    assert.is(ingest.stats().appendedEntries, 600);
    assert.is(ingest.stats().inWindow, 0);
  });

  taking("a batch that comes before its predecessor waits for it, then is in order", async () => {
    const { take, said, settle, ingest } = ingestOver();
    const door = new Log(30);
    await take(door.device, message(door, 21, 30));
    await settle();
    await take(door.device, message(door, 11, 20));
    await settle();
    assert.equal([said.length, ingest.stats().early], [0, 2]);
    await take(door.device, message(door, 1, 10));
    await settle();
    assert.equal(said.at(-1)?.answer, { ack: door.at(30) });
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
  });

  taking("a predecessor that another instance took in is noticed", async () => {
    const [one, other] = [ingestOver(), ingestOver()];
    const door = new Log(20);
    await one.take(door.device, message(door, 11, 20));
    await one.settle();
    await other.take(door.device, message(door, 1, 10));
    await other.settle();
    now += 20;
    await one.settle();
    assert.equal(one.said.at(-1)?.answer, { ack: door.at(20) });
  });

  taking(
    "a batch that waited in vain is asked for again, once, from where the log stands",
    async () => {
      const { take, said, settle, ingest } = ingestOver();
      const door = new Log(40);
      await take(door.device, message(door, 1, 10));
      for (const first of [21, 26, 31]) await take(door.device, message(door, first, first + 4));
      await settle();
      now += WAIT_MS + 1;
      await settle();
      assert.equal(nackOf(said), ["ack", "gap 10"]);
      assert.is(ingest.stats().early, 0);
    },
  );

  taking("what waits for its predecessor is bounded", async () => {
    const { take, settle, ingest } = ingestOver();
    const door = new Log(200);
    for (let first = 3; first <= 100; first++) await take(door.device, message(door, first, first));
    await settle();
    assert.ok(ingest.stats().early <= 16);
    assert.is(ingest.stats().inWindow, 0);
  });

  taking(
    "a log whose parent is not here yet is answered with what is missing of the parent",
    async () => {
      const { take, said, settle } = ingestOver();
      const [parent, id] = [new Log(10), randomUUID()];
      const child = (from: Cursor) =>
        encodeBatch(startOf(id), logOf(id, [opened(parent.device, from), visitLike(1)])).payload;
      await take(parent.device, child(parent.at(10)));
      await settle();
      now += WAIT_MS + 1;
      await settle();
      assert.equal(said.at(-1)?.answer, { nack: { ...startOf(parent.log), reason: "gap" } });
      await take(parent.device, child(parent.at(10)));
      await settle();
      await take(parent.device, message(parent, 1, 10));
      await settle();
      const acks = said.flatMap(({ answer }) => ("ack" in answer ? [answer.ack] : []));
      assert.equal(
        acks.map(({ log, seq }) => [log, seq]),
        [
          [parent.log, 10],
          [id, 2],
        ],
      );
    },
  );

  taking("what is no batch is kept with its reason, and holds nothing up", async () => {
    const { take, said, settle, ingest } = ingestOver();
    const door = new Log(20);
    const whole = message(door, 1, 10);
    await take(door.device, whole);
    await settle();
    const wrong = Buffer.from(`{"log":"${door.log}","seq":1}\nnonsense\n`);
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024));
    const long = Buffer.alloc(PAYLOAD_BYTES_MAX + 1);
    for (const payload of [wrong, bomb, long, Buffer.alloc(0)]) await take(door.device, payload);
    await take(door.device, message(door, 11, 20));
    await settle();
    assert.equal(nackOf(said).filter((word) => word !== "ack").length, 4);
    assert.ok(nackOf(said).every((word) => word === "ack" || word.startsWith("invalid")));
    assert.is(ingest.stats().invalid, 4);
    assert.equal(await lines(central.log, door.log), door.links.map(lineOf));
    const deadLetters = "SELECT reason FROM dead_letters WHERE device = $1";
    assert.is((await central.database.query(deadLetters, [door.device])).length, 4);
  });

  taking("a device cannot hand in another's batch: it is kept, and tells nothing", async () => {
    const { take, said, settle } = ingestOver();
    const [door, thief] = [new Log(20), new Log(5)];
    await take(door.device, message(door, 1, 10));
    await take(thief.device, message(thief, 1, 5));
    await settle();
    said.splice(0);
    await take(thief.device, message(door, 11, 20));
    await settle();
    assert.equal(said, [
      { device: thief.device, answer: { nack: { ...thief.at(5), reason: "invalid" } } },
    ]);
    const [letter] = await central.database.query("SELECT reason FROM dead_letters");
    assert.match(JSON.stringify(letter), /another device's/);
    assert.is((await lines(central.log, door.log)).length, 10);
  });

  taking(
    "a divergent history freezes its log and is answered with `fork`, and told once",
    async () => {
      const { take, said, logged, settle } = ingestOver();
      const [door, neighbour] = [new Log(20), new Log(5)];
      await take(door.device, message(door, 1, 10));
      await settle();
      const forked = Object.assign(new Log(1), door, { links: door.other(6) });
      await take(door.device, message(forked, 6, 20));
      await take(neighbour.device, message(neighbour, 1, 5));
      await settle();
      assert.equal(nackOf(said), ["ack", "fork 10", "ack"]);
      for (const each of [forked, door]) await take(door.device, message(each, 11, 20));
      await settle();
      assert.equal(nackOf(said).slice(3), ["fork 10", "fork 10"], "neither goes on");
      assert.is((await lines(central.log, door.log)).length, 10);
      assert.is(logged.filter((line) => line.includes("log fork detected")).length, 1);
    },
  );

  taking("a full window lets nothing more in until there is room", async () => {
    const { take, settle, ingest } = ingestOver(central.log, { messages: 3, bytes: 1e9 });
    const doors = Array.from({ length: 5 }, () => new Log(3));
    let entered = 0;
    const all = doors.map(async (door) => {
      await take(door.device, message(door, 1, 3));
      entered++;
    });
    await Promise.all(all.slice(0, 3));
    assert.equal([entered, ingest.stats().inWindow], [3, 3]);
    await settle();
    await Promise.all(all);
    await settle();
    assert.is(ingest.stats().appendedEntries, 15);
    const stopping = new AbortController();
    for (const door of doors.slice(0, 3)) await take(door.device, message(door, 1, 3));
    const refused = ingest.take(doors[3]?.device ?? "", Buffer.alloc(1), stopping.signal);
    stopping.abort();
    assert.is(
      await refused.then(
        () => "in",
        () => "out",
      ),
      "out",
    );
    await settle();
  });

  taking(
    "while the database is away nothing is lost, and what it cannot bear is set aside",
    async () => {
      const [good, bad] = [new Log(5), new Log(5)];
      let failure: Error | null = new PorchlightError("database.unreachable", "", {
        remedy: "retry",
      });
      const { take, said, settle, ingest } = ingestOver({
        ...central.log,
        async append(arrivals, signal) {
          if (failure !== null) throw failure;
          if (arrivals.some(({ device }) => device === bad.device)) {
            throw Object.assign(new Error("no such character"), { code: "22021" });
          }
          return central.log.append(arrivals, signal);
        },
      });
      await take(good.device, message(good, 1, 5));
      await take(bad.device, message(bad, 1, 5));
      assert.is(await ingest.commit().catch((error: Error) => error), failure);
      assert.equal([said.length, ingest.stats().inWindow], [0, 2]);
      failure = null;
      await settle();
      assert.equal(nackOf(said), ["ack", "invalid 0"]);
      const [letter] = await central.database.query("SELECT reason FROM dead_letters");
      assert.match(JSON.stringify(letter), /no such character/);
    },
  );
}

taking.run();
