import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import type { Link } from "../../../shared/log/chain.ts";
import { startOf } from "../../../shared/log/cursor.ts";
import { encodeBatch } from "../../../shared/protocol/batch.ts";
import { Central, lines } from "../../support/central.ts";
import { DeviceTemplate } from "../../support/crashing-device.ts";
import { startFast } from "../../support/engines.ts";
import { seeded } from "../../support/facts.ts";
import { Faults } from "../../support/faults.ts";
import { logOf, opened, visitLike } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { Replication } from "../../support/replication.ts";
import { suite } from "../../support/suite.ts";

const simulating = suite("uplink and ingest, simulated");
const central = new Central(startFast);
const template = new DeviceTemplate();
/** The writes of the protocol, on both ends. */
const WRITES = [
  ...["an append", "a new log", "what is acked"],
  ...["INSERT INTO logs", "COPY event_log", "UPDATE logs", "the commit"],
  "INSERT INTO dead_letters",
];
/** Where processes end in the simulation. A fork, which it has none of, is in the story below. */
const PLACES = [
  ...WRITES.flatMap((write) => [`before ${write}`, `after ${write}`]),
  ...["between two entries of an append", "before an answer"],
];
const PLACES_OF_STORY = [...PLACES, "before INSERT INTO forks", "after INSERT INTO forks"];

/** Seeds of the simulation; PORCHLIGHT_TEST_SEED=N runs one of them alone. */
const SEEDS = 500;
const STEPS = 150;
/** Most appends are small, so that many seeds cost little; some fill several batches. */
const APPEND = { usual: 40, large: 1_500, largePart: 0.02 } as const;
/** Of all writes, the part at which a process ends; it passes a place between entries more often. */
const CRASHES = { usual: 0.04, betweenEntries: 0.001 } as const;

/**
 * Messages and answers are lost, doubled, delayed and swapped; a session ends; device and instances
 * are killed with what they had in memory, also in the middle of every write; the device begins a
 * new log, its clock jumps, it wakes up in 1970; the centre is restored from a backup.
 */
async function simulate(seed: number, struck: Map<string, number>): Promise<void> {
  const random = seeded(seed);
  const chance = (part: number): boolean => random() < part;
  const pick = (length: number): number => (chance(0.7) ? 0 : Math.floor(random() * length));
  const faults = new Faults((place) =>
    chance(place.startsWith("between") ? CRASHES.betweenEntries : CRASHES.usual),
  );
  const of = new Replication({ template, database: central.database, faults, random });
  const { device, answers } = of;
  const instance = (): number => Math.floor(random() * 2);
  const steps: Record<string, () => unknown> = {
    append() {
      const most = chance(APPEND.largePart) ? APPEND.large : APPEND.usual;
      device.append(Math.ceil(random() * most));
    },
    pump: () => device.pump(),
    arrive() {
      const [payload] = device.wire.splice(pick(device.wire.length), chance(0.1) ? 0 : 1);
      if (payload && !chance(0.1)) return of.arrive(payload, instance());
    },
    garbage: () => of.arrive(Buffer.from("no batch"), instance()),
    commit: () => of.commit(instance()),
    answer() {
      const [posted] = answers.splice(pick(answers.length), chance(0.1) ? 0 : 1);
      if (posted && !chance(0.1)) return of.hear(posted);
    },
    drop: () => void device.wire.splice(0),
    session: () => device.begin(1 + Math.floor(random() * 8)),
    restart: () => device.restart(),
    reboot: () => device.reboot(random),
    jump: () => device.jump(random),
    kill: () => of.kill(instance()),
    renew: () => device.renew(),
    restore: () => of.restore(),
    wait: () => of.pass(random() * 10_000),
  };
  const often = { append: 3, pump: 12, arrive: 14, commit: 8, answer: 12, wait: 4 };
  const rare = { session: 1, restart: 1, kill: 1, drop: 1, jump: 1, reboot: 0.2 };
  const bag = Object.entries({ ...often, ...rare, garbage: 0.2, renew: 0.2, restore: 0.2 });
  const names = bag.flatMap(([name, weight]) => Array<string>(weight * 5).fill(name));
  for (let step = 0; step < STEPS; step++) {
    await steps[names[Math.floor(random() * names.length)] ?? "pump"]?.();
  }
  await of.calm();
  await of.isWhole(`seed ${seed}`);
  device.close();
  for (const [place, times] of faults.struck) struck.set(place, (struck.get(place) ?? 0) + times);
}

/** Sent until the centre has answered it: whoever takes it may end before that. */
async function insist(of: Replication, device: string, log: string, links: readonly Link[]) {
  const { payload } = encodeBatch({ ...startOf(log), seq: 0 }, links);
  const answered = (): boolean => of.answers.some((posted) => posted.device === device);
  for (let turn = 0; !answered(); turn++) {
    assert.ok(turn < 10, "one process ends once");
    await of.arrive(payload, 0, device);
    while (await of.commit());
  }
  return of.answers.splice(0);
}

/** Every write there is, a few times each; the process of the one with this number ends there. */
async function story(ending: number): Promise<{ readonly writes: number; readonly at: string }> {
  let writes = 0;
  let at = "";
  const faults = new Faults((place) => {
    if (writes++ !== ending) return false;
    at = place;
    return true;
  });
  const { database, log } = central;
  const of = new Replication({ template, database, faults, random: seeded(ending + 2) });
  const { device } = of;
  device.append(3);
  await of.calm();
  for (let batch = 0; batch < 2; batch++) {
    device.append(2);
    device.pump();
  }
  for (const payload of device.wire.splice(0).reverse()) {
    await of.arrive(payload);
    await of.commit();
  }
  await of.arrive(Buffer.from("no batch"));
  await of.calm();
  device.renew();
  device.append(2);
  await of.calm();
  await of.isWhole(`write ${ending}, ${at}`);

  // A log of another device: with an entry that is none, and then with another story.
  const [other, own] = [randomUUID(), randomUUID()];
  const links = logOf(own, [opened(other), visitLike(1), "no entry", visitLike(2)]);
  const [first] = await insist(of, other, own, links);
  assert.is(first?.answer && "ack" in first.answer && first.answer.ack.seq, 4, at);
  const second = logOf(own, [opened(other), visitLike(1), "no entry", visitLike(3)]);
  const [refused] = await insist(of, other, own, second);
  assert.is(refused?.answer && "nack" in refused.answer && refused.answer.nack.reason, "fork", at);
  assert.equal(
    await lines(log, own),
    links.map(({ body }) => body),
    at,
  );
  assert.is((await log.verify(own, [])).fault, null, at);
  assert.ok((await log.logs()).find((each) => each.log === own)?.frozenAt, at);
  const forks = await database.query("SELECT seq FROM forks WHERE log = $1", [own]);
  assert.equal(forks, [{ seq: 4n }], at);
  const letters = await database.query("SELECT seq FROM dead_letters WHERE log = $1", [own]);
  assert.equal(letters, [{ seq: 3n }], at);
  device.close();
  return { writes, at };
}

if (needsPostgres()) {
  simulating.before.each(() => central.begin());
  simulating.after.each(() => central.end());
  simulating.after(() => central.stop());
  simulating.after(() => template.remove());

  simulating("whatever is lost, doubled, swapped or killed: each entry arrives once", async () => {
    const given = process.env["PORCHLIGHT_TEST_SEED"];
    const all = Array.from({ length: SEEDS }, (_, i) => i);
    const struck = new Map<string, number>();
    for (const seed of given === undefined ? all : [Number(given)]) {
      try {
        await simulate(seed, struck);
      } catch (error) {
        throw new Error(`again with PORCHLIGHT_TEST_SEED=${seed}`, { cause: error });
      }
    }
    if (given !== undefined) return;
    assert.equal([...struck.keys()].sort(), [...PLACES].sort(), "in each place at least once");
  });

  simulating(
    "a process that ends at any one of its writes changes nothing of the end",
    async () => {
      const { writes } = await story(-1);
      const struck = new Set<string>();
      for (let ending = 0; ending < writes; ending++) struck.add((await story(ending)).at);
      assert.equal([...struck].sort(), [...PLACES_OF_STORY].sort());
    },
  );
}

simulating.run();
