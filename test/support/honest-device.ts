/** An honest device on a broker, which measures how long its acks take. */
import { Socket } from "node:net";
import mqtt, { type MqttClient } from "mqtt";
import { encodeBatch } from "../../shared/protocol/batch.ts";
import { ackSchema, decodeMessage, topicOf } from "../../shared/protocol/wire.ts";
import { Device } from "./central.ts";

export interface HonestDevice {
  readonly device: string;
  /** Sends its next entry; how long the ack took, ms. Fails when none comes. */
  next(): Promise<number>;
  end(): Promise<void>;
}

const ENTRIES = 3_000;
const LONGEST_MS = 30_000;

export function honestLog(): Device {
  return new Device(ENTRIES);
}

export async function honestDevice(
  url: string,
  log: Device,
  password?: string,
): Promise<HonestDevice> {
  const { device, links } = log;
  const client: MqttClient = await mqtt.connectAsync(url, {
    protocolVersion: 4,
    clientId: `porchlight-${device}`,
    username: device,
    reconnectPeriod: 0,
    ...(password !== undefined && { password }),
  });
  // As the agent does (edge/sync/link.ts).
  if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  client.on("error", () => undefined);
  let heard: (seq: number) => void = () => undefined;
  client.on("message", (_, payload) => heard(decodeMessage(ackSchema, payload).seq));
  await client.subscribeAsync(topicOf({ device, channel: "ack" }), { qos: 1 });
  let seq = 0;
  return {
    device,
    async next() {
      seq++;
      const { payload } = encodeBatch(log.at(seq - 1), links.slice(seq - 1, seq));
      const acked = new Promise<void>((done, failed) => {
        const late = setTimeout(() => failed(new Error(`no ack of entry ${seq}`)), LONGEST_MS);
        heard = (answered) => {
          if (answered < seq) return;
          clearTimeout(late);
          done();
        };
      });
      const started = performance.now();
      client.publish(topicOf({ device, channel: "log" }), payload, { qos: 1 });
      await acked;
      return performance.now() - started;
    },
    end: () => client.endAsync(true),
  };
}
