import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import type { ExpiryPolicy } from "../../../edge/store/expiry.ts";
import type { Clock } from "../../../shared/core/clock.ts";
import { captured, enrolled, pressed, sampled, visit } from "../../support/facts.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const expiry = suite("pictures and their age");
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START = Date.UTC(2026, 8, 1);
const POLICY: ExpiryPolicy = {
  strangers: { crops: 7, snapshots: 3 },
  people: { crops: 90, snapshots: 30 },
};

/** A store whose wall clock and uptime are the test's. */
function door() {
  const time = { nowMs: START, upMs: 0, synced: true };
  const clock: Clock = { now: () => time.nowMs, monotonicMs: () => time.upMs };
  const at = testStore(clock, () => (time.synced ? "synced" : "unsynced"));
  const pass = (hours: number): void => {
    for (let i = 0; i < hours; i++) {
      time.nowMs += HOUR_MS;
      time.upMs += HOUR_MS;
      at.store.append([pressed()]);
    }
  };
  return { at, time, pass };
}

/** A visit with a crop's key and a snapshot's. */
function shot({ store }: TestStore, person: string | null, ended = true): string {
  const id = randomUUID();
  const facts = visit(id, person);
  store.append([...(ended ? facts : facts.slice(0, 2)), captured(id)]);
  store.keyring.ensure(id, ["biometric"]);
  return id;
}

function keysOf({ store }: TestStore, id: string): string {
  const classes = ["biometric", "media"] as const;
  return classes.filter((each) => store.keyring.export(id, each) !== null).join();
}

function expire({ store }: TestStore): void {
  while (store.expiry.step(POLICY) > 0);
}

expiry(
  "strangers' pictures go by class after their days, people's later, open visits never",
  () => {
    const { at, time, pass } = door();
    const person = randomUUID();
    at.store.append([enrolled(person, "Ana")]);
    const stranger = shot(at, null);
    const known = shot(at, person);
    const linked = shot(at, null);
    const data = { person, visit: linked };
    at.store.append([{ type: "visit.linked", actor: "cli:test", subject: linked, data }]);
    const open = shot(at, null, false);
    pass(2 * 24);
    const young = shot(at, null);
    expire(at);
    assert.is(keysOf(at, stranger), "biometric,media", "not yet");
    pass(2 * 24);
    expire(at);
    assert.is(keysOf(at, stranger), "biometric");
    assert.equal(at.store.media.ofVisit(stranger), []);
    pass(4 * 24);
    expire(at);
    assert.equal(
      [stranger, young, known, linked, open].map((id) => keysOf(at, id)),
      ["", "biometric", "biometric,media", "biometric,media", "biometric,media"],
    );
    time.nowMs += 60 * DAY_MS;
    pass(2);
    expire(at);
    assert.equal(
      [known, linked].map((id) => keysOf(at, id)),
      ["biometric", "biometric"],
    );
    assert.equal(at.store.erasing.pending(), [], "and nowhere else");
    assert.is(at.store.log.verify([]).fault, null);
    assert.ok(at.store.keyring.export(person, "profile") !== null);
    at.store.rebuild();
    assert.is(keysOf(at.reopen() && at, stranger), "");
    at.remove();
  },
);

expiry("where no clock was ever set, days of uptime count, over restarts", () => {
  const { at, time, pass } = door();
  time.synced = false;
  const id = shot(at, null);
  for (let boot = 0; boot < 4; boot++) {
    pass(40);
    time.upMs = 0;
    time.nowMs = START - boot * DAY_MS;
    at.reopen();
  }
  expire(at);
  assert.is(keysOf(at, id), "biometric", "160 hours");
  pass(10);
  expire(at);
  assert.is(keysOf(at, id), "");
  at.remove();
});

for (const [clock, wrong] of [
  ["in the future", Date.UTC(2099, 0, 1)],
  ["in the past, before there was such a program", Date.UTC(1999, 0, 1)],
] as const) {
  expiry(`a clock that was once ${clock} neither keeps pictures nor takes young ones`, () => {
    const { at, time, pass } = door();
    const right = time.nowMs;
    time.nowMs = wrong;
    const id = shot(at, null);
    at.store.append([sampled(1)]);
    time.nowMs = right;
    pass(1);
    expire(at);
    assert.is(keysOf(at, id), "biometric,media");
    // Switched off: only the clock says how long.
    time.nowMs += 8 * DAY_MS;
    pass(2);
    expire(at);
    assert.is(keysOf(at, id), "");
    at.remove();
  });
}

expiry("one wrong time keeps nothing of the log from being shed either", () => {
  const { at, time, pass } = door();
  at.store.append([sampled(1)]);
  const right = time.nowMs;
  time.nowMs = Date.UTC(2099, 0, 1);
  at.store.append([sampled(2)]);
  time.nowMs = right;
  at.store.append([sampled(3)]);
  time.nowMs += 20 * DAY_MS;
  time.upMs += 2 * HOUR_MS;
  pass(1);
  const policy = { maxMiB: 512, maxDays: 10, shed: ["telemetry"] } as const;
  while (at.store.retention.step(policy) === "shed");
  const bodies = at.store.log.readAfter(0, 100).map(({ body }) => body);
  assert.is(bodies.filter((body) => body === null).length, 3);
  at.remove();
});

expiry("a budget takes nothing younger than its floor", () => {
  const { at, pass } = door();
  for (let i = 0; i < 30; i++) {
    at.store.append([sampled(i)]);
    pass(1);
  }
  const policy = { maxMiB: 0, maxDays: 1_000, minHours: 24, shed: ["telemetry"] } as const;
  while (at.store.retention.step(policy) === "shed");
  assert.is(at.store.retention.step(policy), "over", "and says so");
  const left = at.store.log.readAfter(0, 1_000).filter(({ body }) => body?.includes("sampled"));
  assert.ok(left.length >= 24 && left.length <= 26, `${left.length}`);
  at.remove();
});

expiry.run();
