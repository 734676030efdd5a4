import * as assert from "uvu/assert";
import { backoffMs, pause } from "../../../shared/core/retry.ts";
import { suite } from "../../support/suite.ts";

const backoff = suite("backoff");

backoff("doubles its ceiling up to the maximum", () => {
  const ceiling = (attempt: number): number =>
    backoffMs(attempt, { firstMs: 100, maxMs: 1_500, random: () => 1 });
  assert.equal([0, 1, 2, 3, 4, 5].map(ceiling), [100, 200, 400, 800, 1_500, 1_500]);
  assert.is(ceiling(10_000), 1_500, "no overflow after weeks of retries");
});

backoff("is drawn evenly between nothing and the ceiling", () => {
  const wait = (random: number): number =>
    backoffMs(2, { firstMs: 100, maxMs: 10_000, random: () => random });
  assert.equal([wait(0), wait(0.25), wait(0.5)], [0, 100, 200]);
});

backoff("refuses limits that make no sense", () => {
  const random = (): number => 0;
  assert.throws(() => backoffMs(-1, { firstMs: 1, maxMs: 2, random }), /in order/);
  assert.throws(() => backoffMs(0, { firstMs: 0, maxMs: 2, random }), /in order/);
  assert.throws(() => backoffMs(0, { firstMs: 3, maxMs: 2, random }), /in order/);
});

backoff.run();

const pausing = suite("a pause");
/** Long enough to be noticed if it were waited for. */
const LONG_MS = 60_000;

pausing("lasts as long as it was told", async () => {
  const started = performance.now();
  await pause(30, new AbortController().signal);
  assert.ok(performance.now() - started >= 29);
});

pausing("ends at once when aborted, before or in the middle, and throws nothing", async () => {
  const started = performance.now();
  await pause(LONG_MS, AbortSignal.abort());
  const stopping = new AbortController();
  setTimeout(() => stopping.abort(), 10);
  await pause(LONG_MS, stopping.signal);
  assert.ok(performance.now() - started < 5_000);
});

pausing.run();
