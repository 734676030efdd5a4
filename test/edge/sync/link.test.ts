import { once } from "node:events";
import { createServer } from "node:net";
import * as assert from "uvu/assert";
import { createBroker } from "../../../cloud-sync/mqtt/embedded-broker.ts";
import { isNetworkDown, type Link, openLink } from "../../../edge/sync/link.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import type { Bundle } from "../../../shared/protocol/bundle.ts";
import { type Authority, createAuthority, pem } from "../../support/certificates.ts";
import {
  type Mosquitto,
  type MosquittoOptions,
  needsMosquitto,
  startMosquitto,
} from "../../support/mosquitto.ts";
import { needsProgram } from "../../support/needs.ts";
import { freePort } from "../../support/port.ts";
import { receiverOf } from "../../support/receiver.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const linking = suite("the link to a broker");
const DEVICE = "11111111-2222-4333-8444-555555555555";
const folder = tempFolder("link");
const forever = new AbortController().signal;

function open(bundle: Omit<Bundle, "format" | "device">, heard: string[] = []): Promise<Link> {
  return openLink(
    {
      bundle: { format: 1, device: DEVICE, ...bundle },
      will: null,
      channels: ["ack", "status"],
      message: (channel, payload) => void heard.push(`${channel} ${payload}`),
    },
    forever,
  );
}

/** The link carries a message there and back: a device may hear its own status in these tests. */
async function carries(bundle: Omit<Bundle, "format" | "device">): Promise<5 | 4> {
  const heard: string[] = [];
  const link = await open(bundle, heard);
  await link.publish("status", Buffer.from("hello"));
  await until("it is heard", () => heard.includes("status hello"));
  await link.close();
  return link.protocol;
}

async function withBroker(
  options: MosquittoOptions,
  story: (broker: Mosquitto) => Promise<void>,
): Promise<void> {
  const broker = await startMosquitto(options);
  try {
    await story(broker);
  } finally {
    await broker.stop();
  }
}

linking.after(() => folder.remove());

linking("nobody at the address: it may be tried again", async () => {
  const url = `mqtt://127.0.0.1:${await freePort()}`;
  const error = await rejects(() => open({ url }), "sync.connect");
  assert.is(error.remedy, "retry");
  assert.not(isNetworkDown(error), "the machine is there, its broker is not");
});

linking("no way to the network at all: it costs nobody anything to try soon", async () => {
  const error = await rejects(() => open({ url: "mqtt://does-not-exist.invalid" }), "sync.connect");
  assert.ok(isNetworkDown(error), error.message);
});

linking("a device that knows a channel more than its centre comes in all the same", async () => {
  const broker = createBroker({
    host: "127.0.0.1",
    port: 0,
    tls: null,
    authenticate: async () => new Date(),
    logger: silentLogger,
  });
  broker.attach(receiverOf());
  await broker.start();
  const stop = new AbortController();
  const ended = broker.run(stop.signal);
  const account = { username: DEVICE, password: "any" };
  const bundle = { format: 1, device: DEVICE, url: broker.url(), ...account } as const;
  const heard: string[] = [];
  const common = { bundle, will: null, message: (channel: string) => void heard.push(channel) };
  // One that a device may not hear: so is one that is not known there.
  const link = await openLink({ ...common, channels: ["ack"], optional: ["status"] }, forever);
  broker.publish({ device: DEVICE, channel: "ack" }, Buffer.from("well"));
  await until("it hears the others", () => heard.length === 1);
  assert.equal(heard, ["ack"]);
  await link.close();
  await rejects(() => openLink({ ...common, channels: ["status"] }, forever), "sync.connect");
  stop.abort();
  await ended;
});

if (needsMosquitto() && needsProgram("openssl", "openssl")) {
  const authority: Authority = createAuthority(folder.path);
  const stranger: Authority = createAuthority(folder.path, "stranger");
  const server = authority.issue("server");
  const ca = pem(authority.caFile);
  const tls = [
    `cafile ${authority.caFile}`,
    `certfile ${server.certificateFile}`,
    `keyfile ${server.keyFile}`,
  ];
  const secure = ({ port }: Mosquitto, scheme: string): string => `${scheme}://127.0.0.1:${port}`;

  linking("speaks MQTT 5 where the broker has it", () =>
    withBroker({}, async ({ url }) => {
      assert.is(await carries({ url }), 5);
    }),
  );

  linking("goes through TLS, and only to a broker whose authority it knows", () =>
    withBroker({ listener: tls }, async (broker) => {
      assert.is(await carries({ url: secure(broker, "mqtts"), ca }), 5);
      const wrong = { url: secure(broker, "mqtts"), ca: pem(stranger.caFile) };
      await rejects(() => open(wrong), "sync.connect");
      await rejects(() => open({ url: secure(broker, "mqtts") }), "sync.connect");
    }),
  );

  linking("proves itself by a certificate of its own", () =>
    withBroker(
      { listener: [...tls, "require_certificate true", "use_identity_as_username true"] },
      async (broker) => {
        const own = authority.issue("device");
        const foreign = stranger.issue("device");
        const url = secure(broker, "mqtts");
        const certified = (files: typeof own) => ({
          url,
          ca,
          certificate: pem(files.certificateFile),
          key: pem(files.keyFile),
        });
        assert.is(await carries(certified(own)), 5);
        await rejects(() => open(certified(foreign)), "sync.connect");
        await rejects(() => open({ url, ca }), "sync.connect");
      },
    ),
  );

  linking("goes through WebSockets, plain and under TLS", async () => {
    // Mosquitto 2.0.11 does not start with nothing but WebSocket listeners.
    const besides = `listener ${await freePort()} 127.0.0.1`;
    await withBroker({ listener: ["protocol websockets", besides] }, async (broker) => {
      assert.is(await carries({ url: secure(broker, "ws") }), 5);
    });
    await withBroker({ listener: ["protocol websockets", ...tls, besides] }, async (broker) => {
      assert.is(await carries({ url: secure(broker, "wss"), ca }), 5);
    });
  });

  linking("respects how many messages the broker takes at once", () =>
    withBroker({ config: ["max_inflight_messages 3"] }, async ({ url }) => {
      const link = await open({ url });
      assert.is(link.receiveMaximum, 3);
      await link.close();
    }),
  );

  linking("an error says where and why, and no secret", () =>
    withBroker({ users: { [DEVICE]: "right" } }, async ({ url }) => {
      const bundle = { url, username: DEVICE, password: "wrong-secret" };
      const error = await rejects(() => open(bundle), "sync.refused");
      assert.is(error.remedy, "stop");
      assert.not.match(`${error.message} ${error.hint}`, "wrong-secret");
    }),
  );

  linking("tells why it ended when the broker goes", () =>
    withBroker({}, async (broker) => {
      const link = await open({ url: broker.url });
      await broker.kill();
      const reason = await link.ended;
      assert.instance(reason, PorchlightError);
      await link.close();
    }),
  );
}

linking(
  "a packet longer than any that the centre sends ends the session at its header",
  async () => {
    let sent = 0;
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        // CONNACK of MQTT 5; then a PUBLISH of 200 MiB.
        socket.write(Buffer.from([0x20, 0x03, 0, 0, 0]));
        socket.write(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x64]));
        const part = Buffer.alloc(64 * 1024);
        const more = (): void => {
          while (!socket.destroyed && sent < 200 * 1024 * 1024) {
            sent += part.length;
            if (!socket.write(part)) {
              socket.once("drain", more);
              return;
            }
          }
        };
        setTimeout(more, 100);
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = Object(server.address());
    const bundle = { format: 1, device: DEVICE, url: `mqtt://127.0.0.1:${port}` } as const;
    const nothing = { will: null, channels: [], message: () => assert.unreachable() };
    const link = await openLink({ bundle, ...nothing }, forever);
    await link.ended;
    assert.ok(sent < 8 * 1024 * 1024, `${sent} bytes were taken`);
    await link.close();
    server.close();
  },
);

linking.run();
