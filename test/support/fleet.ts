/**
 * Many devices on one broker, in a process of its own: sends batches that were prepared before, with
 * as many in flight for each device as an agent has, and ends when the last one is acknowledged.
 *
 *     fleet.ts <broker URL> <devices> <batches of each> <entries of each batch>
 *
 * Prints the ids of its devices as JSON, waits for a line, and prints {"entries", "ms"}.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import mqtt from "mqtt";
import { type Cursor, startOf } from "../../shared/log/cursor.ts";
import { compressBatch, encodeBatch } from "../../shared/protocol/batch.ts";
import {
  ackSchema,
  decodeMessage,
  filterOf,
  nackSchema,
  parseTopic,
  topicOf,
} from "../../shared/protocol/wire.ts";
import { logOf, opened, visitLike } from "./links.ts";

const IN_FLIGHT = 8;
const CONNECTIONS = 4;

interface Sender {
  readonly device: string;
  readonly batches: { readonly payload: Buffer; readonly last: Cursor }[];
  next: number;
  acked: number;
}

function sender(batches: number, entries: number): Sender {
  const [device, log] = [randomUUID(), randomUUID()];
  const facts = Array.from({ length: batches * entries - 1 }, (_, i) => visitLike(i));
  const links = logOf(log, [opened(device), ...facts]);
  let place = startOf(log);
  const prepared = Array.from({ length: batches }, (_, i) => {
    const made = encodeBatch(place, links.slice(i * entries, (i + 1) * entries));
    place = made.last;
    return { ...made, payload: compressBatch(made.payload) };
  });
  return { device, batches: prepared, next: 0, acked: 0 };
}

const [url = "", ...stats] = process.argv.slice(2);
const [devices = 1, batches = 1, entries = 1] = stats.map(Number);
const senders = Array.from({ length: devices }, () => sender(batches, entries));
const byDevice = new Map(senders.map((each) => [each.device, each]));
const clients = await Promise.all(
  Array.from({ length: CONNECTIONS }, () =>
    mqtt.connectAsync(url, { protocolVersion: 5, properties: { receiveMaximum: 1_000 } }),
  ),
);
const pump = (each: Sender): void => {
  const client = clients[senders.indexOf(each) % CONNECTIONS];
  for (; each.next < batches && each.next - each.acked < IN_FLIGHT; each.next++) {
    const payload = each.batches[each.next]?.payload ?? Buffer.alloc(0);
    client?.publish(topicOf({ device: each.device, channel: "log" }), payload, { qos: 1 });
  }
};
let open = devices;
let finish: () => void = () => undefined;
const finished = new Promise<void>((done) => {
  finish = done;
});
clients[0]?.on("message", (topic, payload) => {
  const { device = "", channel } = parseTopic(topic) ?? {};
  const each = byDevice.get(device);
  if (each === undefined || each.acked === batches) return;
  const { seq } = decodeMessage(channel === "ack" ? ackSchema : nackSchema, payload);
  each.acked = Math.floor(seq / entries);
  // What came too far ahead of its predecessor is asked for again, as an agent is.
  if (channel === "nack") each.next = each.acked;
  if (each.acked === batches && --open === 0) finish();
  pump(each);
});
await clients[0]?.subscribeAsync([filterOf("ack"), filterOf("nack")], { qos: 1 });
process.stdout.write(`${JSON.stringify([...byDevice.keys()])}\n`);
await once(process.stdin, "data");
const started = performance.now();
for (const each of senders) pump(each);
await finished;
const ms = performance.now() - started;
process.stdout.write(`${JSON.stringify({ entries: devices * batches * entries, ms })}\n`);
for (const client of clients) client.end(true);
process.stdin.pause();
