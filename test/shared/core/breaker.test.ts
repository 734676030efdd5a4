import * as assert from "uvu/assert";
import { type Breaker, breakerAt, CLOSED, failed } from "../../../shared/core/breaker.ts";
import { suite } from "../../support/suite.ts";

const breaker = suite("a circuit breaker");

const LIMITS = {
  failuresMax: 3,
  retry: { firstMs: 100, maxMs: 400 },
  open: { firstMs: 1_000, maxMs: 8_000 },
};

function fail(from: Breaker, now: number, random = 0.999, afterMs?: number): Breaker {
  const failure = { now, random: () => random, ...(afterMs !== undefined && { afterMs }) };
  return failed(from, failure, LIMITS);
}

breaker("stays closed through single failures, and waits longer after each", () => {
  const one = fail(CLOSED, 0);
  const two = fail(one, 0);
  assert.equal([one.kind, one.notBefore, two.kind, two.notBefore], ["closed", 100, "closed", 200]);
  assert.is(fail(CLOSED, 0, 0).notBefore, 0, "full jitter: it may be at once");
});

breaker(
  "opens after so many failures in a row, and lets a probe through when it was long enough",
  () => {
    const open = fail(fail(fail(CLOSED, 0), 0), 5_000);
    assert.equal(open, { kind: "open", failures: 3, notBefore: 6_000 });
    assert.is(breakerAt(open, 5_999).kind, "open");
    assert.is(breakerAt(open, 6_000).kind, "half-open");
    assert.is(breakerAt(CLOSED, 6_000).kind, "closed");
  },
);

breaker("a probe that fails opens it for longer, up to a ceiling", () => {
  let state = fail(fail(fail(CLOSED, 0), 0), 0);
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    state = fail(breakerAt(state, state.notBefore), 0);
    assert.is(state.kind, "open");
    waits.push(state.notBefore);
  }
  assert.equal(
    waits,
    [1_999, 3_998, 7_996, 7_996, 7_996].map((ms) => ms + (ms > 1_999 ? 0 : 0)),
  );
});

breaker("an open one waits at least half its time, and never less than it was told", () => {
  const state = fail(fail(CLOSED, 0), 0);
  assert.is(fail(state, 0, 0).notBefore, 500);
  assert.is(fail(state, 0, 0, 30_000).notBefore, 30_000);
  assert.is(fail(CLOSED, 0, 0, 2_000).notBefore, 2_000);
});

breaker.run();
