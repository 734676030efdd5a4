import * as assert from "uvu/assert";
import { createDeviceBudget } from "../../../cloud-sync/fairness/device-budget.ts";
import {
  ADDRESS_FAILURES,
  ALONE_FACTOR,
  ALONE_MS,
  AUTHENTICATIONS_PER_ADDRESS_MAX,
  LOG_BURST_BYTES,
  LOG_SHARE_S,
  LOGIN_FAILURES,
  MESSAGE_LIMITS,
  NONSENSE_MAX,
  RETURNS,
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
  budget.log.charge(B, 0);
  budget.log.charge(A, LOG_BURST_BYTES + 5_000);
  assert.equal([budget.log.waitMs(A), budget.log.waitMs(B)], [5_000, 0]);
  nowMs += 5_000;
  assert.is(budget.log.waitMs(A), 0);
  assert.ok(budget.stats().delayed > 0 && budget.stats().dropped > 0);
});

budgeting("a device that is alone may send more, until another one does", () => {
  let nowMs = 0;
  const budget = createDeviceBudget({ logBytesPerSecond: 1_000, monotonicMs: () => nowMs });
  const { log } = budget;
  log.charge(A, LOG_BURST_BYTES * ALONE_FACTOR + 16_000);
  assert.equal([log.waitMs(A), log.shareBytes(A)], [1_000, LOG_SHARE_S * 16_000]);
  nowMs += 1_000;
  log.charge(B, 1);
  assert.equal([log.shareBytes(A), log.shareBytes(B)], [LOG_SHARE_S * 1_000, LOG_SHARE_S * 1_000]);
  log.charge(A, 16_000);
  assert.is(log.waitMs(A), 16_000);
  nowMs += 16_000 + ALONE_MS;
  log.charge(A, 16_000);
  assert.is(log.waitMs(A), 0, "from the second that it was left in peace");
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

budgeting(
  "a device whose password is known comes again so often, and no other waits for it",
  () => {
    let nowMs = 0;
    const logins = createLoginBudget(() => nowMs);
    const again = (device: string) => Array.from({ length: 500 }, () => logins.mayReturn(device));
    assert.is(again(A).filter(Boolean).length, RETURNS.burst - 1);
    assert.ok(logins.mayReturn(B));
    nowMs += 1_000 / RETURNS.perSecond;
    assert.is(again(A).filter(Boolean).length, 1);
  },
);

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
