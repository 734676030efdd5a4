import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { createDeviceBudget } from "../../../cloud-sync/fairness/device-budget.ts";
import {
  ANSWERS_MAX,
  LOGIN_FAILURES,
  MESSAGE_LIMITS,
  PACKETS,
  REFUSAL_DELAY_MS,
  UNAUTHENTICATED_PER_ADDRESS_MAX,
} from "../../../cloud-sync/fairness/limits.ts";
import { topicOf } from "../../../shared/protocol/wire.ts";
import {
  A,
  authenticate,
  B,
  brokerWith,
  client,
  MADE_AT,
  ownBroker,
  PASSWORDS,
} from "../../support/own-broker.ts";
import { connectPacket, open, packet, subscribePacket, write } from "../../support/raw-mqtt.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const own = suite("the broker of our own, and who means ill");

own("a device that was revoked while its password was checked does not come in", async () => {
  let checked: (madeAt: Date) => void = () => undefined;
  const { broker, stop } = await brokerWith({
    authenticate: () => new Promise((done) => (checked = done)),
  });
  const outcome = client(broker.url(), A).then(
    () => "in",
    () => "out",
  );
  await until("it is being checked", () => broker.connected() === 0 && checked.length === 1);
  broker.disconnect(A, new Date(MADE_AT.getTime() + 1));
  checked(MADE_AT);
  assert.is(await outcome, "out");
  assert.is(broker.connected(), 0);
  await stop();
});

own("wrong passwords are checked a few times, and do not keep the right one out", async () => {
  const checks: string[] = [];
  const { broker, stop } = await brokerWith({
    authenticate: (...login) => {
      checks.push(login[1]);
      return authenticate(...login);
    },
    isKnown: (device, password) => device === A && password === PASSWORDS[A],
  });
  const guess = () => client(broker.url(), A, { password: randomUUID() }).catch(() => undefined);
  for (let attempt = 0; attempt < LOGIN_FAILURES.burst; attempt++) await guess();
  const began = performance.now();
  await Promise.all(Array.from({ length: 50 }, guess));
  assert.ok(checks.length <= LOGIN_FAILURES.burst + 2, `${checks.length} were checked`);
  assert.ok(broker.stats().loginsRefused >= 48);
  assert.ok(performance.now() - began >= REFUSAL_DELAY_MS, "and the others wait for an answer");
  for (const device of [A, B]) await (await client(broker.url(), device)).endAsync();
  await stop();
});

own("a CONNECT that is too long or does not end costs little, and makes room", async () => {
  const { broker, stop } = await ownBroker();
  const b = await client(broker.url(), B);
  const long = await open(broker.url());
  // 1 MiB, as a batch may be.
  await write(long.resume(), packet(0x10, Buffer.alloc(1_024 * 1_024)));
  await until("it is ended at its header", () => long.destroyed);
  const begun = await Promise.all(
    Array.from({ length: UNAUTHENTICATED_PER_ADDRESS_MAX + 20 }, async () => {
      const socket = await open(broker.url());
      await write(socket.resume(), Buffer.from([0x10, 100, 0, 4]));
      return socket;
    }),
  );
  await until("the oldest are ended", () => broker.stats().unauthenticatedEnded >= 19);
  await (await client(broker.url(), A)).endAsync();
  assert.ok(b.connected);
  for (const socket of begun) socket.destroy();
  await b.endAsync();
  await stop();
});

own("answers that are not acknowledged end a session, and are not kept for it", async () => {
  const { broker, stop } = await ownBroker();
  const channel = "ack";
  const topic = topicOf({ device: A, channel });
  const answer = (): void => broker.publish({ device: A, channel }, Buffer.alloc(200));
  const socket = await open(broker.url());
  await write(socket.resume(), connectPacket(A, PASSWORDS[A] ?? ""));
  await write(socket, subscribePacket(topic));
  await until("it is in", () => broker.connected() === 1);
  await sleep(100);
  for (let sent = 0; sent <= ANSWERS_MAX; sent++) answer();
  await until("its session is ended", () => socket.destroyed);
  assert.is(broker.stats().unacknowledgedEnded, 1);
  answer();
  const a = await client(broker.url(), A, { clean: false });
  const received: string[] = [];
  a.on("message", (_, payload) => received.push(`${payload.length}`));
  await a.subscribeAsync(topic, { qos: 1 });
  for (let sent = 0; sent < 3 * ANSWERS_MAX; sent++) {
    answer();
    if (sent % 50 === 0) await sleep(20);
  }
  await until("one that acknowledges gets them all", () => received.length === 3 * ANSWERS_MAX);
  await a.endAsync();
  await stop();
});

own("a device that reads nothing does not silence another", async () => {
  const { broker, stop } = await ownBroker();
  const deaf = await open(broker.url());
  deaf.pause();
  await write(deaf, connectPacket(A, PASSWORDS[A] ?? ""));
  await write(deaf, subscribePacket(topicOf({ device: A, channel: "ack" })));
  const b = await client(broker.url(), B);
  const received: number[] = [];
  b.on("message", () => received.push(performance.now()));
  await b.subscribeAsync(topicOf({ device: B, channel: "ack" }), { qos: 1 });
  for (let sent = 0; sent < 100; sent++) {
    broker.publish({ device: A, channel: "ack" }, Buffer.alloc(60_000));
    broker.publish({ device: B, channel: "ack" }, Buffer.alloc(100));
    if (sent % 10 === 0) await sleep(10);
  }
  await until("the other has heard all of it", () => received.length === 100, 3_000);
  deaf.destroy();
  await b.endAsync();
  await stop();
});

own("packets that nobody is asked about have a limit too", async () => {
  const { broker, stop } = await ownBroker();
  const socket = await open(broker.url());
  await write(socket, connectPacket(A, PASSWORDS[A] ?? ""));
  await until("it is in", () => broker.connected() === 1);
  let answered = 0;
  socket.on("data", (chunk: Buffer) => {
    answered += chunk.length / 2;
  });
  // PINGREQ, and a PINGRESP of two bytes for each.
  const pings = PACKETS.burst * 3;
  for (let sent = 0; sent < pings; sent += 1_000) {
    socket.write(Buffer.concat(Array(1_000).fill(Buffer.from([0xc0, 0]))));
    await sleep(20);
  }
  await until("it has its burst", () => answered >= PACKETS.burst / 2);
  await sleep(200);
  assert.ok(answered < pings - 1_000, `${answered} of ${pings} were answered`);
  const b = await client(broker.url(), B);
  await b.publishAsync(topicOf({ device: B, channel: "status" }), "x", { qos: 1 });
  await until("the rest comes later", () => answered >= pings, 10_000);
  socket.destroy();
  await b.endAsync();
  await stop();
});

own("a device over its budget waits, and the other does not", async () => {
  const heard: string[] = [];
  const budget = createDeviceBudget({ logBytesPerSecond: 1e6, monotonicMs: () => 0 });
  const { broker, stop } = await brokerWith({ budget }, undefined, ({ device }) => {
    heard.push(device);
  });
  const { burst = 0 } = MESSAGE_LIMITS.status ?? {};
  const [a, b] = [await client(broker.url(), A), await client(broker.url(), B)];
  const status = (device: string): string => topicOf({ device, channel: "status" });
  for (let sent = 0; sent < 3 * burst; sent++) a.publish(status(A), "x", { qos: 1 });
  await b.publishAsync(status(B), "x", { qos: 1 });
  await b.publishAsync(status(B), Buffer.alloc(5_000), { qos: 1 });
  assert.equal(
    heard.filter((device) => device === B),
    [B],
    "what is too long is not read",
  );
  assert.ok(heard.length <= burst + 2 && budget.stats().delayed > 0, `${heard.length} were heard`);
  a.end(true);
  await b.endAsync();
  await stop();
});

own.run();
