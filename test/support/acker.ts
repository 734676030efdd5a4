/**
 * A centre that believes everything: acknowledges each batch by its header, so that a bench times
 * the device alone. Run as a process of its own: `acker.ts <broker URL>`; prints "ready".
 */
import { gunzipSync } from "node:zlib";
import mqtt from "mqtt";
import {
  ackSchema,
  encodeMessage,
  filterOf,
  parseTopic,
  topicOf,
} from "../../shared/protocol/wire.ts";

const NEWLINE = 0x0a;
const client = mqtt.connect(process.argv[2] ?? "");
client.on("connect", () => {
  client.subscribe(filterOf("log"), { qos: 1 }, () => process.stdout.write("ready\n"));
});
client.on("message", (topic, payload) => {
  const { device } = parseTopic(topic) ?? {};
  if (device === undefined) return;
  const plain = payload[0] === 0x1f ? gunzipSync(payload) : payload;
  const { log, seq, head } = JSON.parse(plain.subarray(0, plain.indexOf(NEWLINE)).toString());
  let lines = -1;
  for (let at = plain.indexOf(NEWLINE); at !== -1; at = plain.indexOf(NEWLINE, at + 1)) lines++;
  const ack = { log, seq: seq + lines - 1, hash: head };
  client.publish(topicOf({ device, channel: "ack" }), encodeMessage(ackSchema, ack), { qos: 1 });
});
