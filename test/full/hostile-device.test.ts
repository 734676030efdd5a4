import * as assert from "uvu/assert";
import { ATTACKS, type Attack, besiegedCentre, LOG_ATTACKS } from "../support/besieged-centre.ts";
import { needsMosquitto, startMosquitto } from "../support/mosquitto.ts";
import { suite } from "../support/suite.ts";

/** The figures of a quiet machine with two cores: docs/benchmarks.md. */
const SECONDS = 20;
const MEMORY_MIB_MAX = 512;
/** How much longer an ack may take than undisturbed; a few ms are the timer's and the machine's. */
const SLOWER = 2;
/** Mosquitto lets a device publish 30,000 messages a second, and each has to be read to be dropped. */
const SLOWER_OVER_MOSQUITTO = 4;
const NOISE_MS = 20;

const hostile = suite("a centre with hostile devices");

async function besieged(
  url: string | null,
  attacks: readonly Attack[],
  slower = SLOWER,
): Promise<void> {
  const centre = await besiegedCentre(url, ATTACKS.length);
  try {
    await centre.siege([], SECONDS / 4);
    const undisturbed = await centre.siege([], SECONDS);
    const slow: string[] = [];
    for (const at of [[], ...attacks.map((attack) => [attack]), attacks]) {
      const { attacks: name, p50, p95, max, acks, done } = await centre.siege(at, SECONDS);
      const figures = [p50, p95, max].map((ms) => ms.toFixed(1)).join(" / ");
      const told = `${name}: ${acks} acks in ${figures} ms (p50 / p95 / max), done ${done}`;
      process.stdout.write(`\n${told}, centre ${centre.peakMiB().toFixed(0)} MiB`);
      if (p95 > slower * undisturbed.p95 + NOISE_MS) slow.push(told);
    }
    assert.equal(slow, [], `undisturbed: p95 ${undisturbed.p95} ms`);
    assert.ok(centre.peakMiB() < MEMORY_MIB_MAX, `${centre.peakMiB()} MiB`);
  } finally {
    assert.is(await centre.stop(), 0);
  }
  assert.not.match(centre.err(), /Warning|"level":"error"/);
}

hostile("on its own broker an honest ack is as quick as undisturbed", () =>
  besieged(null, ATTACKS),
);

if (needsMosquitto()) {
  hostile("over Mosquitto too", async () => {
    const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
    await besieged(broker.url, LOG_ATTACKS, SLOWER_OVER_MOSQUITTO);
    await broker.stop();
  });
}

hostile.run();
