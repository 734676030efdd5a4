import mqtt from "mqtt";
import {
  decodeMessage,
  filterOf,
  parseTopic,
  ringSchema,
  visitorSchema,
} from "../../shared/protocol/wire.ts";
import { until } from "./until.ts";

/** Somebody who waits for the door, as Home Assistant does. */
export interface Subscriber {
  /** What has come, with its time on performance.now's clock. */
  readonly heard: readonly Heard[];
  close(): void;
}

export interface Heard {
  readonly channel: string;
  readonly seq: number;
  readonly atMs: number;
}

export async function subscribe(url: string): Promise<Subscriber> {
  const client = mqtt.connect(url);
  const heard: Heard[] = [];
  let ready = false;
  client.on("connect", () => {
    client.subscribe([filterOf("ring"), filterOf("visitor")], { qos: 1 }, () => {
      ready = true;
    });
  });
  client.on("message", (topic, payload) => {
    const atMs = performance.now();
    const channel = parseTopic(topic)?.channel ?? "";
    const schema = channel === "ring" ? ringSchema : visitorSchema;
    heard.push({ channel, seq: decodeMessage(schema, payload).seq, atMs });
  });
  await until("the subscriber listens", () => ready);
  return { heard, close: () => void client.end(true) };
}
