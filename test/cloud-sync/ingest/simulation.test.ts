import * as assert from "uvu/assert";
import { type Answer, createIngest, type Ingest } from "../../../cloud-sync/ingest/ingest.ts";
import { WAIT_MS } from "../../../cloud-sync/ingest/waiting.ts";
import { PorchlightError } from "../../../shared/errors.ts";
import { silentLogger } from "../../../shared/logger.ts";
import { Central, lines } from "../../support/central.ts";
import { Device } from "../../support/device.ts";
import { startServer } from "../../support/engines.ts";
import { seeded } from "../../support/facts.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const simulating = suite("uplink and ingest, simulated");
const central = new Central(startServer);
const NEVER = new AbortController().signal;
let now = 0;

/** Seeds of the simulation; PORCHLIGHT_TEST_SEED=N runs one of them alone. */
const SEEDS = 60;
const STEPS = 150;

/**
 * A device and two instances of ingest over one real log. Messages and answers are lost, doubled,
 * delayed and swapped; a session ends; device and instances are killed with what they had in memory;
 * the device begins a new log; the centre is restored from a backup.
 */
async function simulate(seed: number): Promise<void> {
  now = 0;
  const random = seeded(seed);
  const chance = (part: number): boolean => random() < part;
  const pick = (length: number): number => (chance(0.7) ? 0 : Math.floor(random() * length));
  const device = new Device();
  const id = device.id();
  const answers: Answer[] = [];
  const begin = (): Ingest =>
    createIngest({
      log: central.log,
      answer: (_, answer) => void answers.push(answer),
      clock: { monotonicMs: () => now },
      random,
      logger: silentLogger,
    });
  const instances = [begin(), begin()];
  const instance = (): number => Math.floor(random() * instances.length);
  device.begin();
  const steps: Record<string, () => unknown> = {
    append: () => device.append(Math.ceil(random() * 1_500)),
    pump: () => void device.uplink.pump(),
    arrive() {
      const [payload] = device.wire.splice(pick(device.wire.length), chance(0.1) ? 0 : 1);
      if (payload && !chance(0.1)) return instances[instance()]?.take(id, payload, NEVER);
    },
    commit: () => instances[instance()]?.commit(),
    answer() {
      const [answer] = answers.splice(pick(answers.length), chance(0.1) ? 0 : 1);
      if (answer && !chance(0.1)) device.hear(answer);
    },
    drop: () => void device.wire.splice(0),
    session: () => device.begin(1 + Math.floor(random() * 8)),
    restart() {
      device.restart();
      device.begin();
    },
    kill: () => void instances.splice(instance(), 1, begin()),
    renew: () => void device.at.store.log.begin(id, device.at.store.log.head()),
    async restore() {
      await forget(id, random);
      answers.splice(0);
    },
    wait() {
      now += Math.floor(random() * 5_000);
      device.now += Math.floor(random() * 10_000);
      try {
        device.uplink.check();
      } catch (error) {
        if (!(error instanceof PorchlightError)) throw error;
        device.begin();
      }
    },
  };
  const often = { append: 3, pump: 12, arrive: 14, commit: 8, answer: 12, wait: 4 };
  const rare = {
    session: 1,
    restart: 1,
    kill: 1,
    drop: 1,

    renew: 0.2,
    restore: 0.2,
  };
  const bag = Object.entries({ ...often, ...rare });
  const names = bag.flatMap(([name, weight]) => Array<string>(weight * 5).fill(name));
  for (let step = 0; step < STEPS; step++) {
    await steps[names[Math.floor(random() * names.length)] ?? "pump"]?.();
  }
  await calm(device, instances, answers);
  assert.is(device.uplink.status().halted, null, `seed ${seed}`);
  assert.is(device.uplink.lag(), 0, `seed ${seed}`);
  for (const [log, expected] of device.logs()) {
    const held = await lines(central.log, log);
    assert.ok(held.join("\n") === expected.join("\n"), `seed ${seed}: log ${log} differs`);
    assert.is((await central.log.verify(log, [])).fault, null);
  }
  device.remove();
}

/** The centre as a backup of it was: some entries of its newest log are gone. */
async function forget(id: string, random: () => number): Promise<void> {
  const newest = (await central.log.logs()).findLast(({ device }) => device === id);
  if (newest === undefined || newest.seq < 2) return;
  const { log } = newest;
  const kept = 1 + Math.floor(random() * (newest.seq - 1));
  await central.database.transaction(async (connection) => {
    await connection.query("DELETE FROM event_log WHERE log = $1 AND seq > $2", [log, kept]);
    await connection.query(
      `UPDATE logs SET head_seq = $2, head_hash = (SELECT hash FROM event_log WHERE log = $1 AND seq = $2)
       WHERE log = $1`,
      [log, kept],
    );
  });
}

/** Everything there is, without a fault. */
async function calm(device: Device, instances: readonly Ingest[], answers: Answer[]) {
  const id = device.id();
  device.begin();
  for (let turn = 0; turn < 1_000; turn++) {
    device.now += 5_000;
    now += WAIT_MS;
    device.pump();
    for (const payload of device.wire.splice(0)) await instances[0]?.take(id, payload, NEVER);
    for (const each of instances) while (await each.commit());
    for (const answer of answers.splice(0)) device.hear(answer);
    const early = instances.some((each) => each.figures().early > 0);
    if (device.uplink.lag() === 0 && !early) return;
  }
}

if (needsPostgres()) {
  simulating.before.each(() => central.begin());
  simulating.after.each(() => central.end());
  simulating.after(() => central.stop());

  simulating("whatever is lost, doubled, swapped or killed: each entry arrives once", async () => {
    const given = process.env["PORCHLIGHT_TEST_SEED"];
    const all = Array.from({ length: SEEDS }, (_, i) => i);
    for (const seed of given === undefined ? all : [Number(given)]) await simulate(seed);
  });
}

simulating.run();
