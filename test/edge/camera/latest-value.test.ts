import * as assert from "uvu/assert";
import { createLatest } from "../../../edge/camera/latest-value.ts";
import { suite } from "../../support/suite.ts";

const latest = suite("latest");

latest("a slow reader gets the newest value, and the others are counted as dropped", async () => {
  const box = createLatest<number>();
  assert.is(box.put(1), true);
  assert.is(box.put(2), false);
  assert.is(box.put(3), false);
  box.end();
  const seen: number[] = [];
  for await (const value of box) seen.push(value);
  assert.equal(seen, [3]);
});

latest("a waiting reader gets each value at once", async () => {
  const box = createLatest<number>();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const value of box) seen.push(value);
  })();
  for (const value of [1, 2, 3]) {
    assert.is(box.put(value), true);
    await new Promise(setImmediate);
  }
  box.end();
  await reading;
  assert.equal(seen, [1, 2, 3]);
});

latest("an error comes after the value that was waiting", async () => {
  const box = createLatest<number>();
  box.put(1);
  box.fail(new Error("unplugged"));
  const seen: number[] = [];
  let message = "";
  try {
    for await (const value of box) seen.push(value);
  } catch (error) {
    message = (error as Error).message;
  }
  assert.equal(seen, [1]);
  assert.is(message, "unplugged");
});

latest.run();
