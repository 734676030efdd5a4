/**
 * How long from a press to a subscriber at the local broker, while 100,000 entries drain and when
 * nothing else is to be sent? Expected: p95 at most 200 ms. Baseline: the same on an idle agent.
 * Agent, broker and the centre that acknowledges are processes of their own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createAckedStore, UNSIGNED_SITE } from "../../edge/log/acked.ts";
import { openLog } from "../../edge/log/open-log.ts";
import { startAcker } from "../support/acker-process.ts";
import { startAgent } from "../support/agent-process.ts";
import { quantile, report } from "../support/bench.ts";
import { deviceOf } from "../support/device.ts";
import { pressed, sampled } from "../support/facts.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { testStore } from "../support/store.ts";
import { subscribe } from "../support/subscriber.ts";
import { until } from "../support/until.ts";

const BACKLOG = 100_000;
const PRESSES = 100;
const EVERY_MS = 50;

const at = testStore();
const { reader, database, close } = openLog(at.options);
const acked = createAckedStore(database, UNSIGNED_SITE);
const ackedSeq = (): number => acked.read()?.cursor.seq ?? 0;
const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
const acker = await startAcker(broker.url);
const subscriber = await subscribe(broker.url);
const batch = Array.from({ length: 1_000 }, (_, i) => sampled(i));
const pressedAt = new Map<number, number>();

/** Presses until enough, or as long as the backlog lasts; the time of each until it was heard, ms. */
async function press(goOn: () => boolean): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < PRESSES && goOn()) {
    const startedMs = performance.now();
    const [cursor] = at.store.append([pressed()]);
    // As the daemon does.
    agent.notify();
    if (cursor === undefined) throw new Error("a press has its entry");
    pressedAt.set(cursor.seq, startedMs);
    seqs.push(cursor.seq);
    await sleep(EVERY_MS);
  }
  const heard = () => new Map(subscriber.heard.map(({ seq, atMs }) => [seq, atMs]));
  await until("all were heard", () => seqs.every((seq) => heard().has(seq)));
  return seqs.map((seq) => (heard().get(seq) ?? 0) - (pressedAt.get(seq) ?? 0));
}

let agent = startAgent(at, deviceOf(reader), broker.url);
await until("the agent is there", () => ackedSeq() > 0);
const idle = await press(() => true);

const draining: number[] = [];
while (draining.length < PRESSES) {
  // Away, so that the backlog is there at once and not as it is written.
  await agent.stop();
  for (let i = 0; i < BACKLOG / batch.length; i++) at.store.append(batch);
  agent = startAgent(at, deviceOf(reader), broker.url);
  const before = ackedSeq();
  await until("it drains", () => ackedSeq() > before);
  const end = reader.head().seq;
  draining.push(...(await press(() => ackedSeq() < end)));
  await until("the backlog is gone", () => ackedSeq() >= end, 60_000);
}

await agent.stop();
subscriber.close();
await acker.stop();
await broker.stop();
close();
at.remove();

const of = { bench: "live", case: `a press, while ${BACKLOG.toLocaleString("en")} entries drain` };
for (const [metric, part] of [
  ["p50", 0.5],
  ["p95", 0.95],
  ["max", 1],
] as const) {
  const value = quantile(draining, part);
  report({ ...of, metric, value, unit: "ms", baseline: quantile(idle, part) });
}
