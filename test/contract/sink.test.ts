/** What every sink promises, each in front of its real store. */
import * as assert from "uvu/assert";
import type { Connection, Database } from "../../cloud-sync/postgres/database.ts";
import { createReadModels } from "../../cloud-sync/sinks/read-models/sink.ts";
import { createSinkControl } from "../../cloud-sync/sinks/runner/control.ts";
import { createLogOwners } from "../../cloud-sync/sinks/support/device-of-log.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import { needsPostgres } from "../support/postgres.ts";
import { RunningSink } from "../support/running-sink.ts";
import { type AnySink, SinkRig } from "../support/sink-rig.ts";
import { SINK_CASES, type SinkCase, stopServers } from "../support/sink-stores.ts";
import { suite } from "../support/suite.ts";
import { until } from "../support/until.ts";

const sinks = suite("a sink");
const rig = new SinkRig();

/** Something that waits until it is told to go on. */
class Gate {
  reached = false;
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((done) => {
    this.#open = done;
  });

  async pass(): Promise<void> {
    this.reached = true;
    await this.#opened;
  }

  open(): void {
    this.#open();
  }
}

/** A sink that stands still before each batch is written. */
function gated(sink: AnySink, gate: Gate): AnySink {
  if ("prepare" in sink) {
    return {
      ...sink,
      async prepare(batch) {
        const pending = await sink.prepare(batch);
        await gate.pass();
        return pending;
      },
    };
  }
  return {
    ...sink,
    async write(batch, signal) {
      await gate.pass();
      return sink.write(batch, signal);
    },
  };
}

/** Every transaction fails at first: before its commit, or after it, its answer lost. */
function crashing(database: Database, when: "before" | "after"): Database {
  const crash = new PorchlightError("database.unreachable", "the power is gone");
  let turn = 0;
  const failing = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    const fails = ++turn % 3 === 1;
    const result = await database.transaction(async (connection) => {
      const done = await work(connection);
      if (fails && when === "before") throw crash;
      return done;
    });
    if (fails) throw crash;
    return result;
  };
  return { ...database, transaction: failing };
}

function promises(one: SinkCase): void {
  const promise = (title: string, test: () => Promise<void>): void => {
    sinks(`${one.name}: ${title}`, async () => {
      await rig.begin(one);
      try {
        await test();
      } finally {
        await rig.end();
      }
    });
  };

  promise("entries come in order, in whatever batches, and a replay is the same", async () => {
    const running = rig.run();
    for (const [from, to] of [
      [1, 4],
      [5, 5],
      [6, 11],
      [12, rig.story.links.length],
    ] as const) {
      await rig.append(from, to);
      await rig.settled(running);
    }
    await running.stop();
    const { name } = running.runner.stats();
    const live = await rig.store.contents();
    assert.equal(await rig.rejectsOf(name), rig.rejectedSeqs());
    assert.equal(live, await rig.expected());
    assert.equal(await rig.rejectsOf(name), rig.rejectedSeqs());
  });

  for (const when of ["before", "after"] as const) {
    promise(`a crash ${when} a commit loses and doubles nothing`, async () => {
      await rig.append(1, 10);
      const running = rig.run({ wrapped: (database) => crashing(database, when) });
      await rig.settled(running);
      await rig.append(11);
      await rig.settled(running);
      await running.stop();
      const { name } = running.runner.stats();
      const live = await rig.store.contents();
      const [state] = await createSinkControl(rig.central.database).states();
      assert.equal(live, await rig.expected());
      assert.equal(await rig.rejectsOf(name), rig.rejectedSeqs());
      assert.ok((state?.written ?? 0n) > 0n);
    });
  }

  promise("one of many is rejected: kept with a reason, and tried again when asked", async () => {
    await rig.append();
    const running = rig.run();
    await rig.settled(running);
    const { name } = running.runner.stats();
    const control = createSinkControl(rig.central.database);
    const wanted = rig.rejectedSeqs();
    assert.equal(await rig.rejectsOf(name), wanted);
    assert.is(running.runner.stats().rejected, wanted.length);
    const before = await control.rejects(name, 0n, 10);
    assert.ok(before.every(({ reason }) => reason.length > 5));
    assert.is(await control.replayRejects(name), wanted.length);
    await until("they were rejected again", async () => {
      const now = await control.rejects(name, 0n, 10);
      return now.every(({ at }, i) => at > (before[i]?.at ?? at));
    });
    assert.is(await control.dropRejects(name), wanted.length);
    const live = await rig.store.contents();
    await running.stop();
    assert.equal(live, await rig.expected());
  });

  promise("aborted in the middle of a write, it goes on where it was", async () => {
    await rig.append();
    const gate = new Gate();
    const aborted = rig.run({ around: (sink) => gated(sink, gate) });
    await until("it is about to write", () => gate.reached);
    const stopped = aborted.stop();
    gate.open();
    await stopped;
    const after = rig.run();
    await rig.settled(after);
    await after.stop();
    assert.equal(await rig.store.contents(), await rig.expected());
  });

  promise("a holder that was paused and followed moves nothing any more", async () => {
    await rig.append(1, 10);
    const gate = new Gate();
    const paused = rig.run({ around: (sink) => gated(sink, gate) });
    await until("it is about to write", () => gate.reached);
    await rig.expire();
    const follower = rig.run();
    await rig.settled(follower);
    await rig.append(11);
    await rig.settled(follower);
    const [before, position] = [await rig.store.contents(), follower.runner.stats().position];
    gate.open();
    await until("it has noticed", () => paused.runner.stats().running === "waiting", 10_000);
    await paused.stop();
    assert.equal(await rig.store.contents(), before);
    assert.is(follower.runner.stats().position, position);
    await follower.stop();
    assert.equal(before, await rig.expected());
  });

  promise("a store that is down is waited for, and delays no other sink", async () => {
    await rig.append(1, 6);
    const running = rig.run();
    const { database } = rig.central;
    const other = createReadModels({ devicesOf: createLogOwners(database) });
    const schema = "porchlight_other";
    const beside = new RunningSink({ ...other, name: "other", schema }, rig.central);
    await rig.settled(running);
    await rig.cut();
    await rig.append(7);
    const seen = new Set<string>();
    const watch = setInterval(() => seen.add(running.runner.stats().breaker), 5);
    await rig.settled(beside, "the other sink goes on");
    await until("the breaker opens", () => seen.has("open"));
    await until("a probe is let through", () => seen.has("half-open"));
    assert.is.not(running.runner.stats().errorCode, null);
    await rig.mend();
    await rig.settled(running, "it catches up");
    clearInterval(watch);
    await until("it has recovered", () => running.runner.stats().breaker === "closed");
    assert.is(running.runner.stats().errorCode, null);
    await Promise.all([running.stop(), beside.stop()]);
    assert.equal(await rig.store.contents(), await rig.expected());
  });

  promise("while another version is built, what was served stays as it was", async () => {
    await rig.append(1, 12);
    const first = rig.run();
    await rig.settled(first);
    await first.stop();
    const served = await rig.store.contents();
    const gate = new Gate();
    const newer = (sink: AnySink): AnySink =>
      gated("prepare" in sink ? { ...sink, version: async () => 99 } : sink, gate);
    await rig.append(13);
    const second = rig.run({ around: newer });
    await until("it has begun", () => gate.reached);
    assert.equal(await rig.store.contents(), served);
    const { name } = second.runner.stats();
    const [state] = await createSinkControl(rig.central.database).states();
    const tables = one.name !== "key-erasure" && !one.name.startsWith("influx");
    assert.is(state?.rebuild === null, !tables, "what is built is told");
    gate.open();
    await rig.settled(second);
    await until("it is served", async () => {
      const [now] = await createSinkControl(rig.central.database).states();
      return now?.rebuild === null;
    });
    await rig.settled(second);
    const swapped = await rig.store.contents();
    await second.stop();
    assert.equal(await rig.rejectsOf(name), rig.rejectedSeqs());
    assert.equal(swapped, await rig.expected());
  });
}

if (needsPostgres()) {
  for (const one of SINK_CASES) if (one.needs()) promises(one);
  sinks.after(async () => {
    await stopServers();
    await rig.stop();
  });
}

sinks.run();
