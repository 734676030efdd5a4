/** A broker of our own in this process, and two devices with passwords. */
import { randomUUID } from "node:crypto";
import mqtt, { type MqttClient } from "mqtt";
import {
  type BrokerOptions,
  createBroker,
  type EmbeddedBroker,
} from "../../cloud-sync/mqtt/embedded-broker.ts";
import type { Authenticate } from "../../cloud-sync/mqtt/login.ts";
import { CENTRE_USER } from "../../cloud-sync/mqtt/topic-acl.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { receiverOf } from "./receiver.ts";

export const [A, B] = [randomUUID(), randomUUID()];
export const PASSWORDS: Readonly<Record<string, string>> = {
  [A]: "a-password",
  [B]: "b-password",
  [CENTRE_USER]: "c-password",
};

/** When all of them were made. */
export const MADE_AT = new Date("2026-01-01T00:00:00Z");

export async function client(url: string, device: string, more: object = {}): Promise<MqttClient> {
  const made = mqtt.connect(url, {
    protocolVersion: 4,
    clientId: `porchlight-${device}`,
    username: device,
    password: PASSWORDS[device] ?? "",
    reconnectPeriod: 0,
    ...more,
  });
  made.on("error", () => undefined);
  await new Promise<void>((done, failed) => {
    made.once("connect", () => done());
    made.once("close", () => failed(new Error("authentication failed")));
  });
  return made;
}

export const authenticate: Authenticate = async (device, password) =>
  PASSWORDS[device] === password ? MADE_AT : null;

export function ownBroker(...receiver: Parameters<typeof receiverOf>) {
  return brokerWith({}, ...receiver);
}

export async function brokerWith(
  more: Partial<BrokerOptions>,
  ...receiver: Parameters<typeof receiverOf>
): Promise<{ broker: EmbeddedBroker; stop(): Promise<void> }> {
  const common = { host: "127.0.0.1", port: 0, tls: null, authenticate, logger: silentLogger };
  const broker = createBroker({ ...common, ...more });
  broker.attach(receiverOf(...receiver));
  await broker.start();
  const stop = new AbortController();
  const ended = broker.run(stop.signal);
  return {
    broker,
    async stop() {
      stop.abort();
      await ended;
    },
  };
}
