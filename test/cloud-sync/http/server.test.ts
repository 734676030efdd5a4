import { once } from "node:events";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { atMostOnceASecond } from "../../../cloud-sync/api/at-most-once-a-second.ts";
import { HTTP_PER_ADDRESS_MAX } from "../../../cloud-sync/fairness/limits.ts";
import { createApi, type Route } from "../../../cloud-sync/http/server.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { freePort } from "../../support/port.ts";
import { open } from "../../support/raw-mqtt.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const serving = suite("an HTTP listener of the centre");

async function listener(routes: Readonly<Record<string, Route>>, port = 0) {
  const api = createApi({ host: "127.0.0.1", port, tls: null, routes, logger: silentLogger });
  await api.start();
  return api;
}

/** What it answers to these bytes, its first line. */
async function answerTo(url: string, request: string): Promise<string | undefined> {
  const socket = await open(url);
  socket.end(request);
  return (await text(socket)).split("\r\n")[0];
}

serving("answers whatever is asked for, and goes on", async () => {
  const api = await listener({
    "GET /here": async (_, response) => void response.end("here\n"),
    "GET /broken": () => {
      throw new TypeError("a mistake of ours");
    },
    "GET /later": async () => {
      throw new TypeError("a mistake of ours, later");
    },
  });
  const get = (target: string) =>
    answerTo(api.url(), `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  for (const target of ["//", "///", "/[", "//[", "/%zz", "*", "http:", "http://x:99999/", "/\\"]) {
    assert.match((await get(target)) ?? "", /^HTTP\/1\.1 40[04] /, target);
  }
  for (const target of ["/__proto__", "/constructor", "/toString"]) {
    assert.is(await get(target), "HTTP/1.1 404 Not Found", target);
  }
  for (const target of ["/broken", "/later"]) {
    assert.is(await get(target), "HTTP/1.1 500 Internal Server Error", target);
  }
  assert.is(await get("/here?x=//"), "HTTP/1.1 200 OK");
  assert.is(api.stats().failed, 2);
  await api.stop();
  await api.stop();
});

serving(
  "says which setting to change where its port is taken, and can be stopped then",
  async () => {
    const port = await freePort();
    const taken = createServer().listen(port, "127.0.0.1");
    await once(taken, "listening");
    const options = { host: "127.0.0.1", port, tls: null, routes: {}, logger: silentLogger };
    const api = createApi({ ...options, setting: "http.metrics.port" });
    const error = await rejects(() => api.start(), "http.address");
    assert.match(error.hint ?? "", /http\.metrics\.port/);
    await api.stop();
    taken.close();
  },
);

serving("one address has so many connections, and not all of them", async () => {
  const api = await listener({});
  const sockets = await Promise.all(
    Array.from({ length: HTTP_PER_ADDRESS_MAX + 10 }, () => open(api.url())),
  );
  for (const socket of sockets) socket.resume();
  await until("those beyond it are ended", () => api.stats().refused >= 10);
  for (const socket of sockets) socket.destroy();
  await until("there is room again", async () => {
    const { status } = await fetch(`${api.url()}/`).catch(() => ({ status: 0 }));
    return status === 404;
  });
  await api.stop();
});

serving("what strangers ask for is looked up once a second, however many ask", async () => {
  let nowMs = 0;
  let lookups = 0;
  const look = atMostOnceASecond(
    async () => {
      await sleep(20);
      return ++lookups;
    },
    () => nowMs,
  );
  assert.equal(await Promise.all(Array.from({ length: 50 }, look)), Array(50).fill(1));
  nowMs = 900;
  assert.is(await look(), 1);
  nowMs = 1_100;
  assert.is(await look(), 2);
});

serving.run();
