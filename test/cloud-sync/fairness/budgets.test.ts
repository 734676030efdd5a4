import * as assert from "uvu/assert";
import { createDeviceBudget } from "../../../cloud-sync/fairness/device-budget.ts";
import {
  ADDRESS_FAILURES,
  AUTHENTICATIONS_PER_ADDRESS_MAX,
  LOG_BURST_BYTES,
  LOGIN_FAILURES,
  MESSAGE_LIMITS,
  NONSENSE_MAX,
} from "../../../cloud-sync/fairness/limits.ts";
import { createLoginBudget } from "../../../cloud-sync/fairness/login-budget.ts";
import { createRecentMap } from "../../../cloud-sync/fairness/recent-map.ts";
import { CHANNELS, type Channel } from "../../../shared/protocol/wire.ts";
import { suite } from "../../support/suite.ts";

const budgeting = suite("the budget of a device");
const [A, B] = ["a", "b"];

budgeting("every channel by which a device speaks has a limit", () => {
  const up = Object.entries(CHANNELS).flatMap(([channel, way]) => (way === "up" ? [channel] : []));
  assert.equal(Object.keys(MESSAGE_LIMITS).sort(), up.sort());
});

budgeting("a device that goes over waits, another does not, and time makes it good", () => {
  let nowMs = 0;
  const budget = createDeviceBudget({ logBytesPerSecond: 1_000, monotonicMs: () => nowMs });
  for (const [channel, { burst, perSecond, bytesMax }] of Object.entries(MESSAGE_LIMITS)) {
    const topic = (device: string) => ({ device, channel: channel as Channel });
    for (let sent = 0; sent < burst; sent++) assert.is(budget.charge(topic(A), 1), 0, channel);
    assert.ok(Number(budget.charge(topic(A), 1)) > 0, channel);
    assert.not(budget.admits(topic(A), 1), channel);
    assert.is(budget.charge(topic(B), 1), 0, channel);
    assert.is(budget.charge(topic(B), bytesMax + 1), "long", channel);
    nowMs += 3_000 / perSecond;
    assert.ok(budget.admits(topic(A), 1), channel);
  }
  budget.log.charge(A, LOG_BURST_BYTES + 5_000);
  assert.equal([budget.log.waitMs(A), budget.log.waitMs(B)], [5_000, 0]);
  nowMs += 5_000;
  assert.is(budget.log.waitMs(A), 0);
  assert.ok(budget.stats().delayed > 0 && budget.stats().dropped > 0);
});

budgeting("nonsense in a row ends a session, and a batch between forgives it", () => {
  const budget = createDeviceBudget({ logBytesPerSecond: 1_000, monotonicMs: () => 0 });
  for (let sent = 1; sent < NONSENSE_MAX; sent++) assert.not(budget.log.nonsense(A));
  assert.not(budget.log.nonsense(B));
  budget.log.sensible(A);
  for (let sent = 1; sent < NONSENSE_MAX; sent++) assert.not(budget.log.nonsense(A));
  assert.ok(budget.log.nonsense(A));
});

budgeting("wrong passwords of a device, and of an address, are checked a few times", () => {
  let nowMs = 0;
  const logins = createLoginBudget(() => nowMs);
  const attempt = (device: string, address: string): boolean => {
    const checked = logins.begin({ device, address });
    if (checked) logins.end({ device, address }, "wrong");
    return checked;
  };
  const checked = (device: string, address: string, times: number): number =>
    Array.from({ length: times }, () => attempt(device, address)).filter(Boolean).length;
  assert.is(checked(A, "10.0.0.1", 1_000), LOGIN_FAILURES.burst);
  assert.is(checked(B, "10.0.0.1", 1), 1, "another device at the same address");
  assert.is(checked(A, "10.0.0.2", 1), 1, "the same device elsewhere");
  const many = Array.from({ length: 1_000 }, (_, i) => attempt(`${i}`, "10.0.0.3"));
  assert.is(many.filter(Boolean).length, ADDRESS_FAILURES.burst);
  nowMs += 10_000;
  assert.is(checked(A, "10.0.0.1", 1_000), 1);
  assert.ok(logins.refused() > 2_000);
});

budgeting("one address does not take every place of a password check", () => {
  const logins = createLoginBudget(() => 0);
  const begun = (address: string): boolean => logins.begin({ device: A, address });
  const taken = Array.from({ length: 100 }, () => begun("10.0.0.1")).filter(Boolean);
  assert.is(taken.length, AUTHENTICATIONS_PER_ADDRESS_MAX);
  assert.ok(begun("10.0.0.2"));
  logins.end({ device: A, address: "10.0.0.1" }, "good");
  assert.ok(begun("10.0.0.1"));
});

budgeting("what was asked for the longest ago is forgotten first", () => {
  const map = createRecentMap<number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assert.is(
    map.get("a", () => 9),
    1,
  );
  map.set("c", 3);
  assert.is(
    map.get("b", () => 8),
    8,
  );
  assert.is(
    map.get("c", () => 7),
    3,
  );
});

budgeting.run();
