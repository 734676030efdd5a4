/** What every sink promises, each in front of its real store. */

import * as assert from "uvu/assert";
import { createDatabase, type Database } from "../../cloud-sync/postgres/database.ts";
import { createPostgresSink } from "../../cloud-sync/sinks/read-models/sink.ts";
import { createSinkControl } from "../../cloud-sync/sinks/runner/control.ts";
import type { Sink } from "../../cloud-sync/sinks/sink.ts";
import { createLogOwners } from "../../cloud-sync/sinks/support/device-of-log.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { Central } from "../support/central.ts";
import { batchOf } from "../support/links.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";
import { RunningSink } from "../support/running-sink.ts";
import {
  SINK_CASES,
  type SinkCase,
  type StoreUnderTest,
  stopServers,
} from "../support/sink-stores.ts";
import { Story } from "../support/story.ts";
import { suite } from "../support/suite.ts";
import { until } from "../support/until.ts";

const sinks = suite("a sink");

let server: PostgresServer | undefined;
const central = new Central(async () => {
  server ??= await startPostgres();
  const running = server;
  const fresh = async (): Promise<Database> =>
    createDatabase({ url: running.freshDatabase(), logger: silentLogger, random: Math.random });
  return { fresh, stop: running.stop };
});
const unaborted = new AbortController().signal;
let story: Story;
let store: StoreUnderTest;

async function begin(one: SinkCase): Promise<void> {
  await central.begin();
  if (server === undefined) throw new Error("central starts the server");
  story = new Story();
  store = await one.start({ database: central.database, server, story });
}

async function end(): Promise<void> {
  await store.stop();
  await central.end();
}

async function append(from = 1, to = story.links.length): Promise<void> {
  const { device, log, links } = story;
  const batch = batchOf(log, links.slice(from - 1, to), links[from - 2]);
  const [outcome] = await central.log.append([{ device, batch }]);
  assert.is(outcome?.kind, "appended");
}

function run(sink = store.sink(), around?: ConstructorParameters<typeof RunningSink>[2]) {
  return new RunningSink(sink, central, around);
}

async function settled(running: RunningSink, what = "everything is written"): Promise<void> {
  const last = (await central.log.readAfter(0n, 10_000)).at(-1)?.position ?? 0n;
  await until(what, () => running.runner.stats().position === last, 20_000);
}

/** What the whole story comes to when nothing goes wrong. */
async function expected(one: SinkCase): Promise<unknown> {
  const undisturbed = await one.start({
    database: central.database,
    server: server ?? (assert.unreachable() as never),
    story,
  });
  const sink = undisturbed.sink();
  await sink.open(unaborted);
  await sink.write(await central.log.readAfter(0n, 10_000), unaborted);
  const contents = await undisturbed.contents();
  await sink.close();
  await undisturbed.stop();
  return contents;
}

async function shelved(sink: string): Promise<number[]> {
  const rows = await createSinkControl(central.database).rejects(sink, 0n, 100);
  return rows.map(({ seq }) => seq);
}

function rejectedSeqs(one: SinkCase): number[] {
  const bad = [...story.bad].filter(([type]) => one.rejects.includes(type));
  return bad.map(([, seq]) => seq);
}

function promises(one: SinkCase): void {
  const promise = (title: string, test: () => Promise<void>): void => {
    sinks(`${one.name}: ${title}`, async () => {
      await begin(one);
      try {
        await test();
      } finally {
        await end();
      }
    });
  };

  promise("entries come in order, in whatever batches", async () => {
    await append();
    const sink = store.sink();
    await sink.open(unaborted);
    for (const entry of await central.log.readAfter(0n, 10_000)) {
      await sink.write([entry], unaborted);
    }
    assert.equal(await store.contents(), await expected(one));
    await sink.close();
  });

  promise("the same batch twice is once, also when older entries come again", async () => {
    await append();
    const sink = store.sink();
    await sink.open(unaborted);
    const all = await central.log.readAfter(0n, 10_000);
    const batches = [all, all, all.slice(0, 9), all.slice(4, 12), all];
    for (const batch of batches.slice(0, 4)) {
      await sink.open(unaborted);
      await sink.write(batch, unaborted);
    }
    assert.equal(await store.contents(), await expected(one));
    await sink.close();
  });

  promise("a crash between the write and the cursor loses and doubles nothing", async () => {
    await append(1, 10);
    let crashes = 0;
    const crashing = run(store.sink(), (cursor) => ({
      ...cursor,
      settle: () => Promise.reject(new Error(`crash ${++crashes}`)),
    }));
    await until("it has written, and not moved", () => crashes > 1);
    await crashing.stop();
    await append(11);
    const after = run();
    await settled(after);
    assert.equal(await store.contents(), await expected(one));
    assert.equal(await shelved(after.runner.stats().name), rejectedSeqs(one));
    await after.stop();
  });

  promise(
    "one of many is rejected: shelved with a reason, and tried again when asked",
    async () => {
      await append();
      const running = run();
      await settled(running);
      const { name } = running.runner.stats();
      const control = createSinkControl(central.database);
      const wanted = rejectedSeqs(one);
      assert.equal(await shelved(name), wanted);
      assert.is(running.runner.stats().rejected, wanted.length);
      const before = await control.rejects(name, 0n, 10);
      assert.ok(before.every(({ reason }) => reason.length > 5));
      assert.is(await control.replayRejects(name), wanted.length);
      await until("they were rejected again", async () => {
        const now = await control.rejects(name, 0n, 10);
        return now.every(({ at }, i) => at > (before[i]?.at ?? at));
      });
      assert.is(await control.dropRejects(name), wanted.length);
      assert.equal(await store.contents(), await expected(one));
      await running.stop();
    },
  );

  promise("aborted in the middle of a write, it goes on where it was", async () => {
    await append();
    const sink = store.sink();
    const aborted = run({
      ...sink,
      async write(batch, signal) {
        const writing = sink.write(batch, signal);
        void aborted.stop();
        return writing;
      },
    });
    await aborted.stop();
    const after = run();
    await settled(after);
    assert.equal(await store.contents(), await expected(one));
    await after.stop();
  });

  promise("a store that is down is waited for, and delays no other sink", async () => {
    await append(1, 6);
    const running = run();
    const devicesOf = createLogOwners(central.database);
    const options = { database: central.database, devicesOf };
    const other: Sink = { ...createPostgresSink(options), name: "other" };
    const beside = run(other);
    await settled(running);
    await store.cut();
    await append(7);
    const seen = new Set<string>();
    const watch = setInterval(() => seen.add(running.runner.stats().breaker), 5);
    await settled(beside, "the other sink goes on");
    await until("the breaker opens", () => seen.has("open"));
    await until("a probe is let through", () => seen.has("half-open"));
    const [state] = (await createSinkControl(central.database).states()).filter(
      ({ name }) => name === running.runner.stats().name,
    );
    assert.is(state?.breaker, "open");
    assert.is.not(state?.errorCode, null);
    assert.ok((state?.lagEntries ?? 0) > 0 && (state?.lagS ?? 0) > 0);
    await store.mend();
    await settled(running, "it catches up");
    clearInterval(watch);
    assert.is(running.runner.stats().breaker, "closed");
    assert.is(running.runner.stats().errorCode, null);
    assert.equal(await store.contents(), await expected(one));
    await Promise.all([running.stop(), beside.stop()]);
  });

  promise("replayed from the first entry, it holds the same", async () => {
    await append(1, 9);
    const running = run();
    await settled(running);
    await append(10);
    await settled(running);
    const { name } = running.runner.stats();
    const [live, onShelf] = [await store.contents(), await shelved(name)];
    await createSinkControl(central.database).reset(name);
    const restarted = async (): Promise<boolean> => {
      const query = "SELECT FROM sink_cursors WHERE reset_asked";
      return (await central.database.query(query)).length === 0;
    };
    await until("it has begun again", restarted);
    await settled(running);
    assert.equal(await store.contents(), live);
    assert.equal(await shelved(name), onShelf);
    await running.stop();
  });
}

if (needsPostgres()) {
  for (const one of SINK_CASES) if (one.needs()) promises(one);
  sinks.after(async () => {
    await stopServers();
    await central.stop();
  });
}

sinks.run();
