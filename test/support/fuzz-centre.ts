/** What strangers and broken devices send to a centre's listeners, by a seed. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import mqtt from "mqtt";
import { CHANNELS } from "../../shared/protocol/wire.ts";
import { mutate } from "./mutate.ts";

type Random = () => number;

const AT_ONCE = 32;
const below = (random: Random, most: number): number => Math.floor(random() * most);

function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T; // no list here is empty
}

const METHODS = ["GET", "PUT", "POST", "HEAD", "CONNECT", "OPTIONS", "PRI", "GE T", "\0", "é", ""];
const TARGETS = [
  ...["/", "//", "///", "*", "/health/live", "/health/ready", "/metrics", "/upload/", "/upload//"],
  ...[
    "//upload/x",
    "/upload/%00",
    "/upload/../x",
    "/%",
    "/%zz",
    "http://",
    "http://x:99999/",
    "http:",
  ],
  ...["?", "/?", "#", "/\\", "\\\\x", "/[", "//[", "/__proto__", "/constructor", "/hasOwnProperty"],
];
const HEADERS = [
  ...["Host: x", "Host:", "Host: x\r\nHost: y", "Expect: 100-continue", "Expect: x"],
  ...[
    "Upgrade: websocket\r\nConnection: upgrade",
    "Transfer-Encoding: chunked",
    "Connection: close",
  ],
  ...["Content-Length: 1e400", "Content-Length: -1", "Content-Length: 5", "Content-Length: NaN"],
  ...["x-porchlight-sha256: é", "x-porchlight-expires: NaN", "x-porchlight-expires: 9e999"],
  ...["x-porchlight-signature: zz", `x-porchlight-signature: ${"ab".repeat(32)}`, "a: \0", ": x"],
];

/** One raw request; now and then cut off, or with bytes in it that belong to no text. */
function request(random: Random): Buffer {
  const target =
    random() < 0.2 ? `/upload/${"a".repeat(below(random, 20_000))}` : pick(random, TARGETS);
  const headers = Array.from({ length: below(random, 6) }, () => pick(random, HEADERS));
  const version = pick(random, ["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", ""]);
  const lines = [`${pick(random, METHODS)} ${target} ${version}`, ...headers, "", "body!"];
  const whole = Buffer.from(lines.join("\r\n"));
  return random() < 0.3 ? mutate(whole, random) : whole;
}

/** So many requests to a listener, each on a connection of its own: it must answer, or close. */
export async function fuzzHttp(url: string, count: number, random: Random): Promise<void> {
  const { hostname, port } = new URL(url);
  const requests = Array.from({ length: count }, () => request(random)).values();
  const work = async (): Promise<void> => {
    for (const bytes of requests) await sent(connect(Number(port), hostname), bytes);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function sent(socket: Socket, bytes: Buffer): Promise<void> {
  // A connection that is reset is an answer too.
  socket.on("error", () => undefined);
  socket.resume();
  const closed = once(socket, "close").catch(() => undefined);
  socket.end(bytes);
  await closed;
}

const TEXTS = [
  ...["", "null", "[]", "{}", "1e999", '"x"', "{", "\0", '{"__proto__":{}}', "[".repeat(60_000)],
  ...['{"state":"offline","version":"\\u0000"}', '{"state":"offline","version":"\\ud800"}'],
  ...[`{"state":"offline","version":"${"x".repeat(2_000)}"}`, '{"state":"online"}'],
];

/** Messages that are nearly right, by their channel. */
function nearly(channel: string, random: Random): string {
  const id = randomUUID();
  const odd = pick(random, [
    "x",
    "\u0000",
    "\u202e",
    "\ud800",
    "é".repeat(300),
    "",
    "1".repeat(70),
  ]);
  const number = pick(random, [1, 0, -1, 1.5, 2 ** 53, 1e308, null, "1"]);
  const hash = pick(random, ["a".repeat(64), "A".repeat(64), "", odd]);
  const acked = { log: id, seq: number, hash };
  switch (channel) {
    case "status":
      return JSON.stringify({ state: "online", version: odd, acked, lag: number, halted: odd });
    case "upload/request":
      return JSON.stringify({ log: id, seq: number, sha256: hash, bytes: number });
    case "keys": {
      const key = {
        subject: id,
        class: "profile",
        number,
        wrapped: pick(random, [null, odd, "AAAA"]),
      };
      return JSON.stringify({ site: hash, keys: pick(random, [[key], [key, key], [], odd]) });
    }
    case "log":
      return `${JSON.stringify({ log: id, seq: number, previous: hash, head: hash, nonce: odd })}\n${odd}\n`;
    default:
      return JSON.stringify({
        log: id,
        seq: number,
        at: number,
        type: "button.pressed",
        button: odd,
      });
  }
}

/** So many messages, topic by topic, of these devices: over a broker that lets everybody in. */
export async function fuzzTopics(
  { url, devices }: { readonly url: string; readonly devices: readonly string[] },
  count: number,
  random: Random,
): Promise<void> {
  const client = await mqtt.connectAsync(url, { protocolVersion: 5 });
  const up = Object.entries(CHANNELS).flatMap(([channel, way]) => (way === "up" ? [channel] : []));
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const group = Array.from({ length: AT_ONCE }, () => {
      const channel = pick(random, up);
      const text = random() < 0.3 ? pick(random, TEXTS) : nearly(channel, random);
      const payload = random() < 0.3 ? mutate(Buffer.from(text), random) : Buffer.from(text);
      const topic = `porchlight/v1/${pick(random, devices)}/${channel}`;
      return client.publishAsync(topic, payload, { qos: 1 });
    });
    await Promise.all(group);
  }
  await client.endAsync();
}

/** So many streams of bytes that are nearly MQTT, before and after a CONNECT. */
export async function fuzzMqtt(url: string, count: number, random: Random): Promise<void> {
  const { hostname, port } = new URL(url);
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  const packet = (type: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([type, body.length & 127]), body]);
  const stream = (): Buffer => {
    const device = randomUUID();
    const flags = pick(random, [0xc2, 0xc0, 0x02, 0xee, 0xff, 0x00]);
    const hello = Buffer.concat([
      text("MQTT"),
      Buffer.from([pick(random, [4, 5, 3, 9]), flags, 0, 5]),
    ]);
    const connected = packet(
      0x10,
      Buffer.concat([hello, text(`porchlight-${device}`.slice(0, 30))]),
    );
    const topic = text(pick(random, ["porchlight/v1/x/log", "#", "$SYS/x", "", "a/+/b"]));
    const published = packet(0x30 + below(random, 16), Buffer.concat([topic, Buffer.from("x")]));
    const whole = Buffer.concat([
      connected,
      published,
      packet(0x82, topic),
      packet(0xc0, text("")),
    ]);
    return random() < 0.8 ? mutate(whole, random) : whole;
  };
  const streams = Array.from({ length: count }, stream).values();
  const work = async (): Promise<void> => {
    for (const bytes of streams) await sent(connect(Number(port), hostname), bytes);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
