import { randomBytes, randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createDeviceBudget } from "../../../cloud-sync/fairness/device-budget.ts";
import {
  LOG_BURST_BYTES,
  LOG_WAITING_MAX,
  NONSENSE_BYTES,
  NONSENSE_MAX,
} from "../../../cloud-sync/fairness/limits.ts";
import { createIngest } from "../../../cloud-sync/ingest/ingest.ts";
import {
  LETTER_BYTES_PER_DEVICE_MAX,
  LETTERS_PER_DEVICE_MAX,
} from "../../../cloud-sync/log/add-dead-letters.ts";
import { LOGS_PER_HOUR_MAX } from "../../../cloud-sync/log/classify-batch.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { type Cursor, startOf } from "../../../shared/log/cursor.ts";
import { encodeBatch } from "../../../shared/protocol/batch.ts";
import { Central, Device as Log } from "../../support/central.ts";
import { startFast } from "../../support/engines.ts";
import { logOf, opened } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const fairness = suite("ingest, with a device that takes more than its share");
const central = new Central(startFast);
const NEVER = new AbortController().signal;

function ingestOver() {
  const clock = { nowMs: 0 };
  const monotonicMs = (): number => clock.nowMs;
  const budget = createDeviceBudget({ logBytesPerSecond: 1_024 * 1_024, monotonicMs });
  const answered: string[] = [];
  const ended: string[] = [];
  const ingest = createIngest({
    log: central.log,
    answer: (device, answer) => answered.push(`${device} ${"ack" in answer ? "ack" : "nack"}`),
    clock: { monotonicMs },
    random: Math.random,
    logger: silentLogger,
    budget: budget.log,
    nonsense: (device) => ended.push(device),
  });
  return { ingest, answered, ended, clock };
}

function message({ log, links }: Log, first: number, last: number): Buffer {
  const before = links[first - 2];
  const previous = before === undefined ? startOf(log) : { log, ...before };
  return encodeBatch(previous, links.slice(first - 1, last)).payload;
}

const letters = () =>
  central.database.query("SELECT device, payload FROM dead_letters ORDER BY id");

if (needsPostgres()) {
  fairness.before.each(() => central.begin());
  fairness.after.each(() => central.end());
  fairness.after(() => central.stop());

  fairness(
    "nonsense is kept in its order and slows its sender alone, until it is ended",
    async () => {
      const { ingest, answered, ended, clock } = ingestOver();
      const [door, hostile] = [new Log(20), randomUUID()];
      const inARow = LOG_BURST_BYTES / NONSENSE_BYTES;
      const send = (i: number) => ingest.take(hostile, Buffer.from(`junk ${i}`), NEVER, "shared");
      for (let i = 0; i < LOG_WAITING_MAX + 40; i++) await send(i);
      assert.is(ingest.stats().dropped, 40, "what is more than it may have here is dropped");
      await ingest.take(door.device, message(door, 1, 10), NEVER);
      assert.ok(await ingest.commit());
      assert.equal(
        answered,
        [`${door.device} ack`],
        "in the first commit, with some of the nonsense",
      );
      while (await ingest.commit());
      const kept = (await letters()).map((row) => String(Object(row).payload));
      assert.equal(
        kept,
        Array.from({ length: inARow + 1 }, (_, i) => `junk ${i}`).slice(0, kept.length),
      );
      assert.ok(kept.length <= inARow + 1, "then it waits");
      await ingest.take(door.device, message(door, 11, 20), NEVER);
      assert.ok(await ingest.commit());
      assert.is(answered.length, 2, "and the other does not");
      for (let i = 0; ended.length === 0 && i < 2 * NONSENSE_MAX; i++) {
        clock.nowMs += 1_000;
        await send(i);
        while (await ingest.commit());
      }
      assert.equal(ended, [hostile]);
      assert.is(ingest.stats().inWindow, 0);
    },
  );

  fairness("a flood of entries is committed at its rate, others between", async () => {
    const { ingest, answered, clock } = ingestOver();
    const [flood, door] = [new Log(30_000), new Log(40)];
    let sent = 0;
    let acks = 0;
    for (let turn = 1; turn <= 40; turn++) {
      while (sent < 30_000) {
        const before = ingest.stats().dropped;
        await ingest.take(flood.device, message(flood, sent + 1, sent + 100), NEVER, "shared");
        if (ingest.stats().dropped > before) break;
        sent += 100;
      }
      await ingest.take(door.device, message(door, turn, turn), NEVER);
      // The flood has a batch or two before it, and never its whole queue.
      assert.ok(await ingest.commit());
      acks = answered.filter((each) => each.startsWith(door.device)).length;
      assert.is(acks, turn);
      clock.nowMs += 10;
    }
    const { appendedEntries } = ingest.stats();
    assert.ok(appendedEntries - 40 < 10_000, `${appendedEntries} entries in 0.4 s`);
    clock.nowMs += 60_000;
    while (await ingest.commit()) clock.nowMs += 1_000;
    assert.ok(ingest.stats().appendedEntries > appendedEntries, "the rest comes later");
  });

  fairness("one device opens so many logs an hour, and heads of others are not read", async () => {
    const { ingest, answered, clock } = ingestOver();
    const device = randomUUID();
    const opening = (parent: Cursor | null) => {
      const log = randomUUID();
      return encodeBatch(startOf(log), logOf(log, [opened(device, parent)]));
    };
    let parent: Cursor | null = null;
    for (let i = 0; i < LOGS_PER_HOUR_MAX + 5; i++) {
      const { payload, last } = opening(parent);
      await ingest.take(device, payload, NEVER);
      while (await ingest.commit());
      if (ingest.stats().limited === 0) parent = last;
    }
    assert.is((await central.log.logs()).length, LOGS_PER_HOUR_MAX);
    assert.is(ingest.stats().limited, 5);
    assert.is(
      answered.length,
      LOGS_PER_HOUR_MAX,
      "what is too much gets no answer: it comes again",
    );
    await central.database.query("UPDATE logs SET created_at = created_at - interval '2 hours'");
    clock.nowMs += 10_000;
    await ingest.take(device, opening(parent).payload, NEVER);
    while (await ingest.commit());
    assert.is((await central.log.logs()).length, LOGS_PER_HOUR_MAX + 1);
    // As an earlier centre let in: a commit costs no more for them.
    await central.database.query(
      `INSERT INTO logs (log, device, parent_log, parent_seq, parent_hash, head_seq, head_hash, created_at)
       SELECT gen_random_uuid(), device, log, head_seq, head_hash, 1, head_hash, now() - interval '1 day'
       FROM logs, generate_series(1, 20000) WHERE log = $1`,
      [parent?.log ?? ""],
    );
    const door = new Log(5);
    await ingest.take(device, opening(parent).payload, NEVER);
    await ingest.take(door.device, message(door, 1, 5), NEVER);
    const began = performance.now();
    assert.ok(await ingest.commit());
    assert.ok(performance.now() - began < 2_000);
    assert.is(answered.at(-1), `${door.device} ack`);
  });

  fairness("dead letters of a device have a limit in number and in bytes", async () => {
    const [many, large, other] = [randomUUID(), randomUUID(), randomUUID()];
    const reason = "it is\n no\u0000 batch\u001b[31m";
    const letter = (device: string, payload: Buffer) => ({ device, reason, payload });
    const first = Array.from({ length: LETTERS_PER_DEVICE_MAX + 50 }, () =>
      letter(many, Buffer.from("x")),
    );
    const kept = await central.log.addDeadLetters([...first, letter(other, Buffer.from("y"))]);
    assert.is(kept.filter(({ stored }) => stored).length, LETTERS_PER_DEVICE_MAX + 1);
    assert.ok(kept.at(-1)?.stored);
    const mebibyte = randomBytes(1_024 * 1_024);
    let stored = 0;
    for (let i = 0; i < 20; i++) {
      if (await central.log.addDeadLetter(letter(large, mebibyte))) stored++;
    }
    assert.is(stored, LETTER_BYTES_PER_DEVICE_MAX / mebibyte.length);
    const [row] = await central.database.query("SELECT DISTINCT reason FROM dead_letters");
    assert.equal(row, { reason: "it is no\\u{0000} batch\\u{001b}[31m" });
  });

  fairness("a month without its partition gets one, whichever of the two it is", async () => {
    const door = new Log(30);
    await central.kinds(door.arrival(1, 10));
    const months = await central.database.query(
      `SELECT child.relname AS name FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
       WHERE inhparent = 'event_log'::regclass ORDER BY 1`,
    );
    const names = months.map((row) => String(Object(row).name));
    assert.is(names.length, 2);
    for (const [i, name] of names.entries()) {
      await central.database.query(`ALTER TABLE event_log DETACH PARTITION ${name}`);
      await central.database.query(`ALTER TABLE ${name} RENAME TO ${name}_away`);
      const kinds = await central.kinds(door.arrival(11 + 10 * i, 20 + 10 * i));
      assert.equal(kinds, ["appended"], name);
    }
  });
}

fairness.run();
