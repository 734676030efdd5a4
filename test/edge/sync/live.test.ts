import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createAckedStore, UNSIGNED_SITE } from "../../../edge/log/acked.ts";
import { createLiveOutbox, LIVE_AGE_MAX_MS } from "../../../edge/log/live-outbox.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { createCongestionWindow } from "../../../edge/sync/congestion-window.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { SEND_BYTES_MAX } from "../../../shared/protocol/batch.ts";
import { startAcker } from "../../support/acker-process.ts";
import { type AgentProcess, startAgent } from "../../support/agent-process.ts";
import { deviceOf } from "../../support/device.ts";
import { pressed, sampled, seeded } from "../../support/facts.ts";
import { needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { testStore } from "../../support/store.ts";
import { subscribe } from "../../support/subscriber.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const live = suite("the live lane");
const BACKLOG = 100_000;
/** What a test has opened, the last first. */
const opened: (() => unknown)[] = [];
live.after.each(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A store, a broker, and whoever listens there. */
async function door(at = testStore()) {
  opened.push(at.remove);
  const { reader, database, close } = openLog(at.options);
  opened.push(close);
  const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
  opened.push(broker.stop);
  const listen = async () => {
    const subscriber = await subscribe(broker.url);
    opened.push(subscriber.close);
    return subscriber;
  };
  const agent = (): AgentProcess => {
    const started = startAgent(at, deviceOf(reader), broker.url);
    opened.push(started.stop);
    return started;
  };
  return { at, reader, database, broker, listen, agent };
}

live("a slow line is never filled for longer than a press may wait", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1e6);
  process.stdout.write(`SEED=${seed} `);
  const random = seeded(seed);
  for (let line = 0; line < 50; line++) {
    const bytesPerMs = 4 + random() * 10_000;
    const wayMs = random() * 300;
    let nowMs = 0;
    const window = createCongestionWindow({ monotonicMs: () => nowMs });
    const underWay: { readonly freeMs: number; readonly taken: () => void }[] = [];
    let lineFreeMs = 0;
    let carried = 0;
    let longestMs = 0;
    for (let turn = 0; turn < 2_000; turn++) {
      const bytes = window.bytes();
      if (window.free() > 0) {
        lineFreeMs = Math.max(nowMs, lineFreeMs) + bytes / bytesPerMs;
        underWay.push({ freeMs: lineFreeMs + wayMs, taken: window.sent() });
        carried += bytes;
        // What a press would wait that came now; the first turns find the size.
        if (turn > 200) longestMs = Math.max(longestMs, lineFreeMs - nowMs);
      } else {
        const [first] = underWay.splice(0, 1);
        nowMs = Math.max(nowMs, first?.freeMs ?? 0);
        first?.taken();
      }
    }
    // Two of the smallest batches, each of which may have grown by a step before one was late.
    const least = (2 * 8 * 1024 * 1.2 ** 2) / bytesPerMs;
    assert.ok(longestMs <= 200 + least, `${longestMs} ms at ${bytesPerMs} B/ms, seed ${seed}`);
    const most = Math.min(bytesPerMs * nowMs, (2 * SEND_BYTES_MAX * nowMs) / wayMs);
    assert.ok(carried > most / 10, `the line is used, seed ${seed}`);
  }
});

if (needsMosquitto()) {
  live("presses overtake a backlog, each once and in order, and leave nothing behind", async () => {
    const { at, reader, database, broker, listen, agent } = await door();
    const batch = Array.from({ length: 1_000 }, (_, i) => sampled(i));
    for (let i = 0; i < BACKLOG / 1_000; i++) at.store.append(batch);
    const rows = createLiveOutbox(database, systemClock);
    const acked = createAckedStore(database, UNSIGNED_SITE);
    const ackedSeq = (): number => acked.read()?.cursor.seq ?? 0;
    const acker = await startAcker(broker.url);
    opened.push(acker.stop);
    const { heard } = await listen();
    agent();
    await until("the backlog drains", () => ackedSeq() > 0);
    const seqs: number[] = [];
    const behind: number[] = [];
    while (reader.head().seq - ackedSeq() > 1_000) {
      const [press] = at.store.append([pressed()]);
      const seq = press?.seq ?? 0;
      seqs.push(seq);
      await until("it is heard", () => heard.some((each) => each.seq === seq));
      behind.push(seq - ackedSeq());
      await sleep(20);
    }
    await until("everything is acked", () => ackedSeq() === reader.head().seq, 30_000);
    await until("no message is left", () => rows.read().length === 0);
    assert.ok(seqs.length >= 3, `${seqs.length} presses while it drained`);
    const order = heard.map(({ seq }) => seq);
    assert.equal(order, seqs);
    assert.ok((behind[0] ?? 0) > 10_000, "it overtook what had waited for longer");
  });

  live("what nobody could hear for a minute is not told; what is younger is", async () => {
    let passedMs = LIVE_AGE_MAX_MS + 1_000;
    const ago = {
      now: () => systemClock.now() - passedMs,
      monotonicMs: () => systemClock.monotonicMs() - passedMs,
    };
    const { at, database, listen, agent } = await door(testStore(ago));
    const [old] = at.store.append([pressed()]);
    passedMs = 1_000;
    const [young] = at.store.append([pressed()]);
    const { heard } = await listen();
    agent();
    const rows = createLiveOutbox(database, systemClock);
    await until("both are gone from the store", () => rows.read().length === 0);
    await until("one was heard", () => heard.length > 0);
    const order = heard.map(({ seq }) => seq);
    assert.equal(order, [young?.seq]);
    assert.is(old?.seq, 2, "the log has the other");
  });

  live("what the broker had not taken when it died is told again", async () => {
    const { at, broker, listen, agent } = await door();
    const started = agent();
    await until("it is connected", () => started.said().includes("connected to the centre"));
    broker.freeze();
    const [press] = at.store.append([pressed()]);
    await sleep(300);
    await broker.kill();
    // It waits until somebody listens: a broker without persistence forgets who has subscribed.
    started.child.kill("SIGSTOP");
    await broker.restart();
    const { heard } = await listen();
    started.child.kill("SIGCONT");
    await until("it is heard", () => heard.some(({ seq }) => seq === press?.seq), 30_000);
  });
}

live.run();
