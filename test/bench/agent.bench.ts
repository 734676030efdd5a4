/**
 * How fast does the agent send a backlog, from log.db to the broker and its ack?
 * Expected: at least 50,000 entries/s on one core. Baseline: reading the same rows. The centre is a
 * process that acknowledges what it is told, so that what is timed is the device.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../edge/log/open-log.ts";
import { runAgent } from "../../edge/sync/agent.ts";
import { createPut } from "../../edge/sync/put.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { report } from "../support/bench.ts";
import { deviceOf } from "../support/device.ts";
import { sampled, visit } from "../support/facts.ts";
import { feedAddress, startTestFeed } from "../support/feed.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { testStore } from "../support/store.ts";

const ENTRIES = 100_000;
const SOMEBODY = "11111111-2222-4333-8444-555555555555";
const ACKER = fileURLToPath(new URL("../support/acker.ts", import.meta.url));
const signal = new AbortController().signal;

const at = testStore();
const [, recognised] = visit(SOMEBODY, null);
if (recognised === undefined) throw new Error("a visit has a decision");
// Half of it decisions, half of it telemetry: about 350 bytes an entry.
const drafts = Array.from({ length: 500 }, (_, i) => (i % 2 === 0 ? recognised : sampled(i)));
for (let i = 0; i < ENTRIES / drafts.length; i++) at.store.log.append(drafts);
const { reader, close } = openLog(at.options);
const DEVICE = deviceOf(reader);

function readAll(): number {
  let place = reader.start();
  const started = performance.now();
  for (;;) {
    const { entries } = reader.after(place, 1_000);
    const last = entries.at(-1);
    if (last === undefined) return performance.now() - started;
    place = { log: last.log, seq: last.seq, hash: last.hash };
  }
}

readAll();
const readMs = readAll();
const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
const acker = spawn(process.execPath, [ACKER, broker.url], {
  stdio: ["ignore", "pipe", "inherit"],
});
await once(acker.stdout, "data");

const feed = startTestFeed(at);
await feed.ready;
const cpu = process.cpuUsage();
const started = performance.now();
await runAgent(
  {
    bundle: { format: 1, device: DEVICE, url: broker.url },
    version: "bench",
    feed: feedAddress(join(at.options.folder, "feed", "feed.sock")),
    objects: { read: () => null },
    put: createPut({ ca: undefined, local: true }),
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
    untilAcked: true,
    alive: () => undefined,
    report: () => undefined,
  },
  signal,
);
const ms = performance.now() - started;
const { user, system } = process.cpuUsage(cpu);
acker.kill();
await feed.stop();
await broker.stop();
close();
at.remove();

const of = {
  bench: "agent",
  case: `${ENTRIES.toLocaleString("en")} entries, log.db → broker → ack`,
};
const rate = (milliseconds: number): number => (ENTRIES * 1_000) / milliseconds;
report({ ...of, metric: "rate", value: rate(ms), unit: "entries/s", baseline: rate(readMs) });
report({
  ...of,
  metric: "CPU per entry",
  value: (user + system) / ENTRIES,
  unit: "µs",
  baseline: null,
});
