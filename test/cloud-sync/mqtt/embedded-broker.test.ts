import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MqttClient } from "mqtt";
import * as assert from "uvu/assert";
import { CENTRE_USER, mosquittoAcl } from "../../../cloud-sync/mqtt/topic-acl.ts";
import { CHANNELS, type Channel, filterOf, topicOf } from "../../../shared/protocol/wire.ts";
import { needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { A, B, client, MADE_AT, ownBroker, PASSWORDS } from "../../support/own-broker.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const ruling = suite("who may do what on the broker");
const own = suite("the broker of our own");

function closed(each: MqttClient): Promise<void> {
  return new Promise((done) => each.once("close", () => done()));
}

interface Rig {
  readonly url: string;
  /** What the centre says to a device. */
  say(device: string, channel: Channel, text: string): void;
  /** Everything that reached the centre. */
  readonly heard: string[];
  stop(): Promise<void>;
}

async function aedesRig(): Promise<Rig> {
  const heard: string[] = [];
  const { broker, stop } = await ownBroker(
    async (device, payload) => {
      heard.push(`${topicOf({ device, channel: "log" })} ${payload}`);
    },
    (topic, payload) => void heard.push(`${topicOf(topic)} ${payload}`),
  );
  const say: Rig["say"] = (device, channel, text) =>
    broker.publish({ device, channel }, Buffer.from(text));
  return { url: broker.url(), say, heard, stop };
}

async function mosquittoRig(): Promise<Rig> {
  const temp = tempFolder("acl");
  const acl = join(temp.path, "acl");
  writeFileSync(acl, mosquittoAcl(), { mode: 0o600 });
  const config = [`acl_file ${acl}`, "use_username_as_clientid true"];
  const broker = await startMosquitto({ users: PASSWORDS, config });
  const centre = await client(broker.url, CENTRE_USER);
  const heard: string[] = [];
  centre.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
  for (const [channel, way] of Object.entries(CHANNELS)) {
    if (way === "up") await centre.subscribeAsync(filterOf(channel as Channel), { qos: 1 });
  }
  return {
    url: broker.url,
    say: (device, channel, text) => centre.publish(topicOf({ device, channel }), text, { qos: 1 }),
    heard,
    async stop() {
      await centre.endAsync();
      await broker.stop();
      temp.remove();
    },
  };
}

/** The same on every broker. */
function rules(name: string, start: () => Promise<Rig>): void {
  ruling(`${name}: a device is heard and hears on its own channels`, async () => {
    const rig = await start();
    const a = await client(rig.url, A);
    const received: string[] = [];
    a.on("message", (topic, payload) => received.push(`${topic} ${payload}`));
    await a.subscribeAsync([`porchlight/v1/${A}/ack`, `porchlight/v1/${A}/nack`], { qos: 1 });
    await a.publishAsync(`porchlight/v1/${A}/log`, "batch", { qos: 1 });
    rig.say(A, "ack", "well");
    await until("both were heard", () => received.length === 1 && rig.heard.length === 1);
    assert.equal(rig.heard, [`porchlight/v1/${A}/log batch`]);
    assert.equal(received, [`porchlight/v1/${A}/ack well`]);
    await a.endAsync();
    await rig.stop();
  });

  ruling(`${name}: it releases keys in its own name, and hears that they are kept`, async () => {
    const rig = await start();
    const [a, b] = [await client(rig.url, A), await client(rig.url, B)];
    const received: string[] = [];
    for (const each of [a, b]) each.on("message", (topic) => received.push(topic));
    await a.subscribeAsync(`porchlight/v1/${A}/keys/ack`, { qos: 1 });
    await b.subscribeAsync(`porchlight/v1/${A}/keys/ack`, { qos: 1 }).catch(() => undefined);
    b.publish(`porchlight/v1/${A}/keys`, "forged", { qos: 1 });
    b.publish(`porchlight/v1/${A}/keys/ack`, "forged", { qos: 1 });
    await sleep(200);
    await a.publishAsync(`porchlight/v1/${A}/keys`, "own", { qos: 1 });
    rig.say(A, "keys/ack", "well");
    await until("both were heard", () => received.length > 0 && rig.heard.length > 0);
    await sleep(100);
    assert.equal(rig.heard, [`porchlight/v1/${A}/keys own`]);
    assert.equal(received, [`porchlight/v1/${A}/keys/ack`]);
    for (const each of [a, b]) each.end(true);
    await rig.stop();
  });

  ruling(`${name}: it neither hears another's channels nor all of them`, async () => {
    const rig = await start();
    const [a, b] = [await client(rig.url, A), await client(rig.url, B)];
    const received: string[] = [];
    a.on("message", (topic) => received.push(topic));
    const filters = ["#", "+/+/+/+", `porchlight/v1/${B}/ack`, `porchlight/v1/${B}/#`].concat([
      ...["porchlight/v1/+/ack", "porchlight/v1/+/log", `porchlight/v1/${B}/log`, "$SYS/#"],
    ]);
    for (const filter of filters) await a.subscribeAsync(filter, { qos: 1 }).catch(() => undefined);
    await b.subscribeAsync(`porchlight/v1/${B}/ack`, { qos: 1 });
    await b.publishAsync(`porchlight/v1/${B}/log`, "batch", { qos: 1 });
    rig.say(B, "ack", "not for A");
    await until("the centre has heard B", () => rig.heard.length === 1);
    await sleep(200);
    assert.equal(
      received.filter((topic) => topic.includes(B)),
      [],
    );
    for (const each of [a, b]) await each.endAsync();
    await rig.stop();
  });

  ruling(`${name}: it speaks neither for another nor for the centre`, async () => {
    const rig = await start();
    const b = await client(rig.url, B);
    const received: string[] = [];
    b.on("message", (topic) => received.push(topic));
    await b.subscribeAsync(`porchlight/v1/${B}/ack`, { qos: 1 });
    for (const topic of [
      ...[`porchlight/v1/${B}/log`, `porchlight/v1/${B}/ack`, `porchlight/v1/${A}/ack`],
      ...[`porchlight/v1/${B}/status`, "porchlight/v1/other", "$SYS/x"],
    ]) {
      const a = await client(rig.url, A);
      a.publish(topic, "forged", { qos: 1 });
      await Promise.race([closed(a), sleep(100)]);
      await a.endAsync(true);
    }
    assert.equal([rig.heard, received], [[], []]);
    await b.endAsync();
    await rig.stop();
  });

  ruling(`${name}: nobody comes in without a password, or with another's`, async () => {
    const rig = await start();
    const wrong = [
      { password: "" },
      { password: PASSWORDS[B] },
      { username: "", password: "" },
      { username: "admin", password: "admin" },
    ];
    for (const more of wrong) {
      const outcome = await client(rig.url, A, more).then(
        () => "in",
        () => "out",
      );
      assert.is(outcome, "out");
    }
    const b = await client(rig.url, B);
    await client(rig.url, A, { clientId: `porchlight-${B}` }).then(
      (a) => a.endAsync(),
      () => undefined,
    );
    await sleep(100);
    assert.ok(b.connected, "nor does another's client id end its session");
    await b.endAsync();
    await rig.stop();
  });
}

rules("ours", aedesRig);
if (needsMosquitto()) rules("Mosquitto", mosquittoRig);

own("acknowledges a batch when ingest has taken it, and reads no further before", async () => {
  const releases: (() => void)[] = [];
  const { broker, stop } = await ownBroker(() => new Promise<void>((done) => releases.push(done)));
  const a = await client(broker.url(), A);
  const payload = Buffer.alloc(500_000);
  let acknowledged = 0;
  for (let sent = 0; sent < 40; sent++) {
    a.publish(`porchlight/v1/${A}/log`, payload, { qos: 1 }, () => acknowledged++);
  }
  await until("it has one", () => releases.length > 0);
  await sleep(300);
  assert.is(acknowledged, 0);
  assert.ok(releases.length <= 2, "20 MB were sent, and one batch is here");
  while (acknowledged < 40) {
    for (const release of releases.splice(0)) release();
    await sleep(5);
  }
  await a.endAsync();
  await stop();
});

own("a door that waits for ingest does not hold up another", async () => {
  const releases: (() => void)[] = [];
  const { broker, stop } = await ownBroker(async (device) => {
    if (device === A) await new Promise<void>((done) => releases.push(done));
  });
  const [a, b] = [await client(broker.url(), A), await client(broker.url(), B)];
  for (let i = 0; i < 200; i++) a.publish(`porchlight/v1/${A}/log`, "x", { qos: 1 });
  await until("A waits", () => releases.length > 0);
  await b.publishAsync(`porchlight/v1/${B}/log`, "x", { qos: 1 });
  a.end(true);
  await b.endAsync();
  for (const release of releases) release();
  await stop();
});

own("ends a connection on which a packet is longer than any batch", async () => {
  const { broker, stop } = await ownBroker();
  const socket = connectTcp(Number(new URL(broker.url()).port), "127.0.0.1");
  await once(socket, "connect");
  socket.on("error", () => undefined);
  // CONNECT with a remaining length of 256 MB.
  socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]));
  await once(socket.resume(), "close");
  await stop();
});

own("ends the session of a device whose password is no longer good", async () => {
  const { broker, stop } = await ownBroker();
  const [a, b] = [await client(broker.url(), A), await client(broker.url(), B)];
  const ended = closed(a);
  broker.disconnect(A, MADE_AT);
  assert.ok(a.connected, "what came in by the newest password stays");
  broker.disconnect(A, new Date(MADE_AT.getTime() + 1));
  await ended;
  assert.ok(b.connected);
  await b.endAsync();
  await stop();
});

ruling.run();
own.run();
