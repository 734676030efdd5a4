import * as assert from "uvu/assert";
import { createRequestQueue } from "../../../cloud-sync/mqtt/request-queue.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const requests = suite("what devices ask, until it is answered");

requests(
  "each device has its share, the one that is being answered included, and all a limit",
  async () => {
    const asked = createRequestQueue<number>({ max: 3, ofOneMax: 2 });
    assert.equal(
      [asked.offer("a", 1), asked.offer("a", 2), asked.offer("a", 3)],
      [true, true, false],
    );
    assert.equal([asked.offer("b", 4), asked.offer("c", 5)], [true, false], "three wait");
    const stop = new AbortController();
    const heard: [string, number][] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((done) => {
      release = done;
    });
    const running = asked.serve(stop.signal, async (device, request) => {
      heard.push([device, request]);
      await held;
    });
    await until("the first is being answered", () => heard.length === 1);
    assert.not(asked.offer("a", 6), "one is being answered and one waits");
    assert.ok(asked.offer("c", 7), "there is room again");
    release();
    await until("all are answered", () => heard.length === 4);
    assert.equal(heard, [
      ["a", 1],
      ["a", 2],
      ["b", 4],
      ["c", 7],
    ]);
    assert.ok(asked.offer("a", 8) && asked.offer("a", 9), "what was answered counts no longer");
    await until("they are answered too", () => heard.length === 6);
    stop.abort();
    await running;
  },
);

requests.run();
