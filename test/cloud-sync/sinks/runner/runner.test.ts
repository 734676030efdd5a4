import * as assert from "uvu/assert";
import type { StoredEntry } from "../../../../cloud-sync/log/event-log.ts";
import { createSinkControl } from "../../../../cloud-sync/sinks/runner/control.ts";
import { createSinkCursor, REJECTS_MAX } from "../../../../cloud-sync/sinks/runner/cursors.ts";
import { type AnySink, StoreBusy, type Written } from "../../../../cloud-sync/sinks/sink.ts";
import { Central, Device } from "../../../support/central.ts";
import { startServer } from "../../../support/engines.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { rejects } from "../../../support/rejects.ts";
import { RunningSink } from "../../../support/running-sink.ts";
import { suite } from "../../../support/suite.ts";
import { until } from "../../../support/until.ts";

const runner = suite("the runner of a sink");
const central = new Central(startServer);

/** A store in memory: what it was given, in order. `position` is its own, where it has one. */
class Recorder {
  readonly given: StoredEntry[] = [];
  position: bigint | null = null;
  opened = 0;
  closed = 0;
  resets = 0;
  /** What becomes of a batch. */
  answer: (batch: readonly StoredEntry[]) => Promise<Written> = async () => ({ rejected: [] });

  sink(name = "recorder"): AnySink {
    const position = async (): Promise<bigint> => this.position ?? 0n;
    return {
      name,
      open: async () => void this.opened++,
      write: async (batch) => {
        const written = await this.answer(batch);
        this.given.push(...batch);
        this.position &&= batch.at(-1)?.position ?? this.position;
        return written;
      },
      ...(this.position !== null && { position }),
      reset: async () => void this.resets++,
      close: async () => void this.closed++,
    };
  }

  seqs(): number[] {
    return this.given.map(({ seq }) => seq);
  }
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}

if (needsPostgres()) {
  runner.before.each(() => central.begin());
  runner.after.each(() => central.end());
  runner.after(() => central.stop());

  runner("gives every entry once and in order, and closes the sink", async () => {
    const door = new Device(2_500);
    for (let seq = 1; seq < 2_500; seq += 500)
      await central.log.append([door.arrival(seq, seq + 499)]);
    const store = new Recorder();
    const running = new RunningSink(store.sink(), central);
    await until("all is there", () => store.given.length >= 2_500);
    await running.stop();
    assert.equal(store.seqs(), upTo(2_500));
    assert.equal([store.opened, store.closed], [1, 1]);
    const [state] = await createSinkControl(central.database).states();
    assert.equal([state?.written, state?.lagEntries, state?.lagS], [2_500n, 0, 0]);
    assert.is(state?.running, false, "who stops lets it go");
  });

  runner(
    "a sink of some types is told of those alone, and is as far as the log all the same",
    async () => {
      const door = new Device(2_500);
      for (let seq = 1; seq < 2_500; seq += 500)
        await central.log.append([door.arrival(seq, seq + 499)]);
      const store = new Recorder();
      store.position = 0n;
      const types = ["store.opened"];
      const advanceTo = async (position: bigint) => {
        store.position = position;
      };
      const running = new RunningSink({ ...store.sink(), types, advanceTo }, central);
      const last = (await central.log.readAfter(0n, 10_000)).at(-1)?.position;
      await until("it is there", () => running.runner.stats().position === last);
      await running.stop();
      assert.equal([store.seqs(), store.position], [[1], last]);
      const [state] = await createSinkControl(central.database).states();
      assert.equal([state?.written, state?.lagEntries], [1n, 0]);
    },
  );

  runner("two instances never run the same sink at once; the second takes over", async () => {
    await central.log.append([new Device(5).arrival()]);
    const [one, other] = [new Recorder(), new Recorder()];
    const first = new RunningSink(one.sink(), central);
    await until("the first has it", () => one.given.length === 5);
    const second = new RunningSink(other.sink(), central);
    await central.log.append([new Device(4).arrival()]);
    await until("the first goes on", () => one.given.length === 9);
    assert.is(second.runner.stats().running, "waiting");
    await first.stop();
    await central.log.append([new Device(3).arrival()]);
    await until("the second goes on from there", () => other.given.length === 3);
    await second.stop();
    assert.equal(one.seqs(), [...upTo(5), ...upTo(4)]);
  });

  runner(
    "an instance that died is followed when its time is over, and can move nothing",
    async () => {
      await central.log.append([new Device(5).arrival()]);
      const dead = createSinkCursor(
        central.database,
        "recorder",
        "0dc0ffee-0000-4000-8000-000000000000",
      );
      assert.is.not(await dead.hold(), null);
      const store = new Recorder();
      const running = new RunningSink(store.sink(), central);
      await until("it waits", () => running.runner.stats().running === "waiting");
      assert.is(store.given.length, 0);
      await central.database.query("UPDATE sink_cursors SET held_until = now() - interval '1 s'");
      await until("it has taken over", () => store.given.length === 5);
      await rejects(() => dead.settle({ position: 1n, written: 1, rejected: [] }), "sink.lost");
      assert.is(await dead.hold(), null);
      await running.stop();
    },
  );

  runner("a store that has less than the cursor says is believed", async () => {
    await central.log.append([new Device(6).arrival()]);
    const store = new Recorder();
    store.position = 0n;
    store.position = (await central.log.readAfter(0n, 2)).at(-1)?.position ?? 0n;
    const cursor = createSinkCursor(
      central.database,
      "recorder",
      "0dc0ffee-0000-4000-8000-000000000000",
    );
    await cursor.hold();
    const last = (await central.log.readAfter(0n, 10)).at(-1)?.position ?? 0n;
    await cursor.settle({ position: last, written: 6, rejected: [] });
    await cursor.release();
    const running = new RunningSink(store.sink(), central);
    await until("what it lacks is given", () => store.given.length === 4);
    await running.stop();
    assert.equal(store.seqs(), [3, 4, 5, 6]);
  });

  runner("a sink waits as long as its store has told it", async () => {
    await central.log.append([new Device(3).arrival()]);
    const store = new Recorder();
    const tries: number[] = [];
    store.answer = async () => {
      tries.push(Date.now());
      if (tries.length === 1) throw new StoreBusy("come back later", 1_500, "wait");
      return { rejected: [] };
    };
    const running = new RunningSink(store.sink(), central);
    await until("it is written", () => store.given.length === 3);
    await running.stop();
    assert.ok((tries[1] ?? 0) - (tries[0] ?? 0) >= 1_490);
  });

  runner("a full shelf stops its sink and says so; with room, it goes on", async () => {
    await central.log.append([new Device(3).arrival()]);
    const cursor = createSinkCursor(
      central.database,
      "recorder",
      "0dc0ffee-0000-4000-8000-000000000000",
    );
    await cursor.hold();
    await cursor.release();
    await central.database.query(
      `INSERT INTO sink_rejects (sink, position, log, seq, reason)
       SELECT 'recorder', -n, gen_random_uuid(), n, 'odd' FROM generate_series(1, ${REJECTS_MAX}) n`,
    );
    const store = new Recorder();
    store.answer = async (batch) => {
      const [first] = batch;
      return { rejected: first === undefined ? [] : [{ position: first.position, reason: "odd" }] };
    };
    const running = new RunningSink(store.sink(), central);
    await until("it stops", () => running.runner.stats().errorCode === "sink.shelf.full");
    assert.match(running.logged.lines.join(""), /porchlight-cloud sinks rejects recorder/);
    assert.is(running.runner.stats().written, 0);
    await createSinkControl(central.database).dropRejects("recorder", -1n);
    await until("it goes on", () => running.runner.stats().written === 2);
    await running.stop();
  });

  runner(
    "what a store needs from time to time that fails is no loop, and stops nothing",
    async () => {
      await central.log.append([new Device(4).arrival()]);
      const store = new Recorder();
      let tries = 0;
      const maintain = (): Promise<void> => Promise.reject(new Error(`in vain ${++tries}`));
      const running = new RunningSink({ ...store.sink(), maintain }, central);
      await until("it is written", () => store.given.length === 4);
      await central.log.append([new Device(3).arrival()]);
      await until("it goes on", () => store.given.length === 7);
      await until("and closes its breaker", () => running.runner.stats().errorCode === null);
      await running.stop();
      assert.is(tries, 1);
    },
  );

  runner("whoever asks about a sink that never ran is told so", async () => {
    const control = createSinkControl(central.database);
    await rejects(() => control.rejects("nobody", 0n, 1), "sink.unknown");
    await rejects(() => control.reset("nobody"), "sink.unknown");
    await rejects(() => control.dropRejects("nobody"), "sink.unknown");
  });
}

runner.run();
