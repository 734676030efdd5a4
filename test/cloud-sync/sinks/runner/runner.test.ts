import * as assert from "uvu/assert";
import type { StoredEntry } from "../../../../cloud-sync/log/event-log.ts";
import { createSinkControl } from "../../../../cloud-sync/sinks/runner/control.ts";
import { createSinkCursor } from "../../../../cloud-sync/sinks/runner/cursors.ts";
import { REJECTS_PER_DEVICE_MAX } from "../../../../cloud-sync/sinks/runner/rejects.ts";
import { type Sink, StoreBusy, type Written } from "../../../../cloud-sync/sinks/sink.ts";
import { Central, Device } from "../../../support/central.ts";
import { startServer } from "../../../support/engines.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { rejects } from "../../../support/rejects.ts";
import { RunningSink } from "../../../support/running-sink.ts";
import { suite } from "../../../support/suite.ts";
import { until } from "../../../support/until.ts";

const runner = suite("the runner of a sink");
const central = new Central(startServer);

/** A store in memory: what it was given, in order. */
class Recorder {
  readonly given: StoredEntry[] = [];
  opened = 0;
  closed = 0;
  /** What becomes of a batch. */
  answer: (batch: readonly StoredEntry[]) => Promise<Written> = async () => ({ rejected: [] });

  sink(name = "recorder"): Sink {
    return {
      name,
      open: async () => void this.opened++,
      write: async (batch) => {
        const written = await this.answer(batch);
        this.given.push(...batch);
        return written;
      },
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

  runner("a device that is over its quota of rejects stops nobody", async () => {
    const [hostile, door] = [new Device(REJECTS_PER_DEVICE_MAX + 20), new Device(4)];
    const store = new Recorder();
    store.answer = async (batch) => {
      const bad = batch.filter(({ log, seq }) => log === hostile.log || seq === 2);
      return { rejected: bad.map(({ position }) => ({ position, reason: "odd" })) };
    };
    await central.log.append([hostile.arrival(1, 900)]);
    await central.log.append([hostile.arrival(901), door.arrival()]);
    const running = new RunningSink(store.sink(), central);
    await until("all of it is passed", () => running.runner.stats().written === 3);
    const control = createSinkControl(central.database);
    const [state] = await control.states();
    assert.equal([state?.rejected, state?.discarded], [REJECTS_PER_DEVICE_MAX + 1, 20]);
    assert.is(state?.errorCode, null);
    const own = (await control.rejects("recorder", 0n, 10_000)).filter(
      ({ log }) => log === door.log,
    );
    assert.equal(
      own.map(({ seq }) => seq),
      [2],
    );
    await control.replayRejects("recorder", own[0]?.position);
    await until("it was tried again", async () => {
      const [again] = await control.rejects("recorder", (own[0]?.position ?? 0n) - 1n, 1);
      return again !== undefined && again.at > (own[0]?.at ?? again.at);
    });
    assert.is((await control.states())[0]?.discarded, 20, "what is kept is not counted twice");
    await running.stop();
  });

  runner("a sink that runs is not forgotten; one that is forgotten begins anew", async () => {
    await central.log.append([new Device(3).arrival()]);
    const store = new Recorder();
    const running = new RunningSink(store.sink(), central);
    await until("it is written", () => store.given.length === 3);
    const control = createSinkControl(central.database);
    await rejects(() => control.forget("recorder"), "sink.running");
    await running.stop();
    await control.forget("recorder");
    await rejects(() => control.forget("recorder"), "sink.unknown");
  });

  runner("whoever lost its lease is told once, and not tried again", async () => {
    const cursor = createSinkCursor(
      central.database,
      "recorder",
      "0dc0ffee-0000-4000-8000-000000000000",
    );
    await cursor.hold();
    await central.database.query("UPDATE sink_cursors SET holder = gen_random_uuid()");
    const started = performance.now();
    const lost = await rejects(
      () => cursor.settle({ position: 1n, written: 1, rejected: [] }),
      "sink.lost",
    );
    assert.is.not(lost.remedy, "retry");
    assert.ok(performance.now() - started < 500);
  });

  runner("whoever asks about a sink that never ran is told so", async () => {
    const control = createSinkControl(central.database);
    await rejects(() => control.rejects("nobody", 0n, 1), "sink.unknown");
    await rejects(() => control.reset("nobody"), "sink.unknown");
    await rejects(() => control.dropRejects("nobody"), "sink.unknown");
  });
}

runner.run();
