import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { ACK_TIMEOUT_MS } from "../../../edge/feed/uplink.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { encodeBatch } from "../../../shared/protocol/batch.ts";
import { type Answer, Centre } from "../../support/centre.ts";
import { Device, same } from "../../support/device.ts";
import { seeded } from "../../support/facts.ts";
import { logOf, visitLike } from "../../support/links.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const sending = suite("the uplink");

sending("sends everything once, in order, as it was hashed, and no more than the window", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(4_500);
  device.begin(3);
  device.pump();
  assert.is(device.wire.length, 3);
  assert.is(device.uplink.status().acked.seq, 0, "what is sent is not there yet");
  const [first] = device.wire;
  assert.ok(first);
  device.hear(centre.receive(first));
  device.pump();
  assert.is(device.wire.length, 4, "an ack makes room for one more");
  for (const payload of device.wire.splice(1)) device.hear(centre.receive(payload));
  device.settle(centre);
  same(device, centre);
  assert.is(device.uplink.lag(), 0);
  device.remove();
});

sending("goes on from the last ack after a restart, and sends again what was in flight", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(2_500);
  device.begin();
  device.pump();
  const [first] = device.wire.splice(0);
  assert.ok(first);
  device.hear(centre.receive(first));
  const { acked } = device.uplink.status();
  device.restart();
  assert.equal(device.uplink.status().acked, acked);
  device.settle(centre);
  same(device, centre);
  device.remove();
});

sending("believes the centre that holds less than it once said", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(1_500);
  device.settle(centre);
  const { log } = device.uplink.status().acked;
  centre.forget(log, 700);
  device.append(10);
  device.settle(centre);
  same(device, centre);
  device.remove();
});

sending("a centre that was brought back learns what it lacks as soon as a session begins", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(1_500);
  device.settle(centre);
  const { acked } = device.uplink.status();
  device.begin();
  device.pump();
  assert.is(device.wire.length, 1, "of what is acknowledged, the last entry is shown once");
  for (const payload of device.wire.splice(0)) device.hear(centre.receive(payload));
  assert.equal([device.uplink.status().acked, device.uplink.status().inFlight], [acked, 0]);
  centre.forget(acked.log, 700);
  device.begin();
  device.pump();
  for (const payload of device.wire.splice(0)) device.hear(centre.receive(payload));
  assert.is(device.uplink.lag(), device.at.store.log.head().seq - 700);
  device.settle(centre);
  same(device, centre);
  device.remove();
});

sending("a late or doubled ack takes nothing back", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(1_500);
  device.begin();
  device.pump();
  const answers = device.wire.splice(0).map((payload) => centre.receive(payload));
  for (const answer of [...answers, ...answers, ...answers.slice(0, 1)]) device.hear(answer);
  assert.is(device.uplink.lag(), 0);
  assert.is(device.uplink.status().inFlight, 0);
  device.remove();
});

sending("many nacks of one gap cause one resend", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(5_500);
  device.begin();
  device.pump();
  const [, ...late] = device.wire.splice(0);
  for (const payload of late) device.hear(centre.receive(payload));
  device.pump();
  assert.is(device.wire.length, late.length + 1);
  device.settle(centre);
  same(device, centre);
  device.remove();
});

sending("says so when the centre has been silent for too long", async () => {
  const device = new Device();
  device.append(10);
  device.begin();
  device.pump();
  device.now += ACK_TIMEOUT_MS - 1;
  device.uplink.check();
  device.now += 1;
  const error = await rejects(async () => device.uplink.check(), "sync.silent");
  assert.is(error.remedy, "retry");
  device.remove();
});

sending("stops at a fork, and where the centre holds what this log does not", () => {
  const forked = new Device();
  forked.append(10);
  forked.begin();
  forked.pump();
  const head = forked.at.store.log.head();
  forked.uplink.onAck({ ...head, hash: "f".repeat(64) });
  assert.is(forked.uplink.status().halted, "fork");
  assert.ok(forked.uplink.pump(), "the centre is shown what stands here");
  forked.append(10);
  assert.not(forked.uplink.pump(), "nothing is sent any more");
  assert.is(forked.uplink.status().acked.seq, 0);
  forked.remove();

  const restored = new Device();
  restored.begin();
  const { log } = restored.at.store.log.head();
  restored.uplink.onAck({ log, seq: 99, hash: "a".repeat(64) });
  assert.is(restored.uplink.status().halted, "behind");
  restored.remove();
});

sending("hears an ack that was its copy's: the centre is shown the fork until it says so", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(300);
  device.settle(centre);
  const common = device.at.store.log.head();
  const others = logOf(common.log, [visitLike(1), visitLike(2)], common);
  const meantForTheCopy = centre.receive(encodeBatch(common, others).payload);
  device.append(1);
  device.begin();
  device.hear(meantForTheCopy);
  assert.is(device.uplink.status().halted, "behind");
  device.pump();
  assert.is(device.wire.splice(0).length, 1, "which is lost");
  device.pump();
  assert.is(device.wire.length, 0, "once a session");
  device.begin();
  device.pump();
  for (const payload of device.wire.splice(0)) device.hear(centre.receive(payload));
  assert.is(device.uplink.status().halted, "fork");
  assert.equal(device.uplink.status().acked, common);
  device.hear(meantForTheCopy);
  device.begin();
  device.pump();
  assert.is(device.wire.length, 0, "the centre knows");
  device.remove();
});

sending("gives up on a batch that is refused again and again", () => {
  const device = new Device();
  device.append(10);
  device.begin();
  const { log } = device.at.store.log.head();
  for (let turn = 0; turn < 3; turn++) {
    device.pump();
    device.now += 5_000;
    device.uplink.onNack({ log, seq: 0, hash: GENESIS_HASH, reason: "invalid" });
  }
  assert.is(device.uplink.status().halted, "invalid");
  device.remove();
});

sending("sends one log after the other when a store was begun anew", () => {
  const device = new Device();
  const centre = new Centre();
  device.append(1_200);
  const parent = device.at.store.log.head();
  device.at.store.log.begin(randomUUID(), parent);
  device.append(1_200);
  assert.is(device.uplink.lag(), 2_402);
  device.settle(centre);
  assert.is(device.logs().size, 2);
  same(device, centre);
  device.remove();
});

/** Seeds of the simulated wire; PORCHLIGHT_TEST_SEED=N runs one of them alone. */
const SEEDS = 500;
const STEPS = 150;
/** Most appends are small, so that many seeds cost little; some fill several batches. */
const APPEND = { usual: 40, large: 1_500, largePart: 0.05 } as const;

sending("whatever is lost, doubled, delayed or swapped: each entry arrives once, in order", () => {
  const given = process.env["PORCHLIGHT_TEST_SEED"];
  const seeds = given === undefined ? Array.from({ length: SEEDS }, (_, i) => i) : [Number(given)];
  for (const seed of seeds) simulate(seed);
});

function simulate(seed: number): void {
  const random = seeded(seed);
  const chance = (part: number): boolean => random() < part;
  const device = new Device();
  const centre = new Centre();
  const answers: Answer[] = [];
  device.begin();
  const steps: Record<string, () => void> = {
    append() {
      const most = chance(APPEND.largePart) ? APPEND.large : APPEND.usual;
      device.append(Math.ceil(random() * most));
    },
    pump: () => void device.uplink.pump(),
    arrive() {
      const place = chance(0.7) ? 0 : Math.floor(random() * device.wire.length);
      const [payload] = device.wire.splice(place, chance(0.1) ? 0 : 1);
      if (payload && !chance(0.1)) answers.push(centre.receive(payload));
    },
    answer() {
      const place = chance(0.7) ? 0 : Math.floor(random() * answers.length);
      const [answer] = answers.splice(place, chance(0.1) ? 0 : 1);
      if (answer && !chance(0.1)) device.hear(answer);
    },
    drop: () => void device.wire.splice(0),
    session: () => device.begin(1 + Math.floor(random() * 8)),
    restart() {
      device.restart();
      device.begin();
    },
    renew: () => void device.at.store.log.begin(randomUUID(), device.at.store.log.head()),
    restore() {
      const { log, seq } = centre.head(device.uplink.status().acked.log);
      centre.forget(log, Math.floor(random() * seq));
      // Acks of what it no longer holds are lost with it.
      answers.splice(0);
    },
    wait() {
      device.now += Math.floor(random() * 10_000);
      try {
        device.uplink.check();
      } catch (error) {
        if (!(error instanceof PorchlightError)) throw error;
        device.begin();
      }
    },
  };
  const weights = { append: 3, pump: 12, arrive: 12, answer: 12, wait: 4, session: 1, restart: 1 };
  const rare = { drop: 1, renew: 0.2, restore: 0.2 };
  const bag = Object.entries({ ...weights, ...rare });
  const names = bag.flatMap(([name, weight]) => Array<string>(weight * 5).fill(name));
  for (let step = 0; step < STEPS; step++) {
    steps[names[Math.floor(random() * names.length)] ?? "pump"]?.();
  }
  // A centre that was restored has nothing to say of it until the next entry comes.
  device.append(1);
  device.settle(centre);
  assert.is(device.uplink.status().halted, null, `seed ${seed}`);
  assert.is(device.uplink.lag(), 0, `seed ${seed}`);
  same(device, centre, `seed ${seed}`);
  device.remove();
}

sending.run();
